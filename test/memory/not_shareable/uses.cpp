// What may lie in a segment and what may not; compiled by the script beside this file. With REFUSED defined, every line
// that is marked so must be refused with a message that says why, and no other line; without it all of it compiles.
#include <atrium/atrium.hpp>

#include <array>
#include <coroutine>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace {

struct plain
{
    int    number    = 0;
    double values[3] = {};
};

struct opted_in
{
    static constexpr bool is_shareable = true;

    explicit opted_in(int given) : number(given) {}
    ~opted_in() { number = 0; }

    int                      number;
    atrium::segment_ptr<int> next;
};

struct not_opted_in
{
    ~not_opted_in() { number = 0; }

    int number = 0;
};

struct polymorphic
{
    static constexpr bool is_shareable = true; // says so, and is wrong

    virtual ~polymorphic() = default;
    virtual int number() const { return 1; }
};

struct derived : polymorphic
{
};

} // namespace

int main()
{
    atrium::segment const s(atrium::open_only, "none");
    static_cast<void>(atrium::make_shared<plain>(s));
    static_cast<void>(atrium::make_shared<opted_in>(s, 1));
    static_cast<void>(atrium::make_shared<std::array<int, 3>>(s));
    static_cast<void>(atrium::make_shared<atrium::atomic<std::uint64_t>>(s));
    static_cast<void>(atrium::make_shared<atrium::string>(s));
    static_cast<void>(atrium::make_shared<atrium::vector<atrium::segment_ptr<opted_in>>>(s));
    static_cast<void>(atrium::make_shared<atrium::guarded<atrium::map<int, atrium::string>>>(s));
    static_cast<void>(atrium::make_shared<std::array<atrium::segment_ptr<opted_in>, 3>>(s));
    static_cast<void>(atrium::make_shared<std::optional<plain>>(s));
    static_cast<void>(atrium::make_shared<std::optional<opted_in>>(s, 1));
    static_cast<void>(atrium::make_shared<std::variant<std::monostate, plain, opted_in>>(s));
    static_cast<void>(atrium::make_shared<std::pair<int const, double>>(s, 1, 2.0));
    static_cast<void>(atrium::make_shared<std::pair<int, atrium::string>>(s, 1, "one"));
    static_cast<void>(atrium::make_shared<std::tuple<int, std::pair<char, int>>>(s));
    static_cast<void>(atrium::make_shared<atrium::vector<std::pair<int, atrium::string>>>(s));
    static_cast<void>(atrium::named<atrium::guarded<std::pair<int, atrium::string>>>(atrium::open_only, s, "n"));
    static_cast<void>(atrium::pool<opted_in>(atrium::open_only, s, "p").make(1));
    static_cast<void>(atrium::pool<std::pair<int, opted_in>>(atrium::open_only, s, "p").make(1, 1));
    static_cast<void>(atrium::array_pool<plain>(atrium::open_only, s, "p", 3).make());
    static_cast<void>(atrium::growing_pool<plain>(atrium::open_only, s, "p").make());
    static_cast<void>(atrium::growing_pool<std::tuple<int, double>>(atrium::open_only, s, "p").make(1, 2.0));
#ifdef REFUSED
    // clang-format off: a mark belongs to its line
    static_cast<void>(atrium::make_shared<std::string>(s));                                    // refused
    static_cast<void>(atrium::make_shared<std::vector<int>>(s));                               // refused
    static_cast<void>(atrium::make_shared<std::unique_ptr<int>>(s));                           // refused
    static_cast<void>(atrium::make_shared<std::function<void()>>(s));                          // refused
    static_cast<void>(atrium::make_shared<atrium::shared_ptr<int>>(s));                        // refused
    static_cast<void>(atrium::make_shared<atrium::weak_ptr<int>>(s));                          // refused
    static_cast<void>(atrium::make_shared<int*>(s));                                           // refused
    static_cast<void>(atrium::make_shared<plain const*>(s));                                   // refused
    static_cast<void>(atrium::make_shared<int* [3]>(s));                                       // refused
    static_cast<void>(atrium::make_shared<int plain::*>(s));                                   // refused
    static_cast<void>(atrium::make_shared<void (*)()>(s));                                     // refused
    static_cast<void>(atrium::make_shared<int&>(s));                                           // refused
    static_cast<void>(atrium::make_shared<int const>(s));                                      // refused
    static_cast<void>(atrium::make_shared<void>(s));                                           // refused
    static_cast<void>(atrium::make_shared<not_opted_in>(s));                                   // refused
    static_cast<void>(atrium::make_shared<polymorphic>(s));                                    // refused
    static_cast<void>(atrium::make_shared<derived>(s));                                        // refused
    static_cast<void>(atrium::make_shared<std::string_view>(s));                               // refused
    static_cast<void>(atrium::make_shared<std::wstring_view>(s));                              // refused
    static_cast<void>(atrium::make_shared<std::span<int>>(s));                                 // refused
    static_cast<void>(atrium::make_shared<std::span<int, 3>>(s));                              // refused
    static_cast<void>(atrium::make_shared<std::reference_wrapper<int>>(s));                    // refused
    static_cast<void>(atrium::make_shared<std::initializer_list<int>>(s));                     // refused
    static_cast<void>(atrium::make_shared<std::coroutine_handle<>>(s));                        // refused
    static_cast<void>(atrium::make_shared<std::array<int*, 3>>(s));                            // refused
    static_cast<void>(atrium::make_shared<std::array<std::string_view, 3>>(s));                // refused
    static_cast<void>(atrium::make_shared<std::string_view[3]>(s));                            // refused
    static_cast<void>(atrium::make_shared<std::optional<int*>>(s));                            // refused
    static_cast<void>(atrium::make_shared<std::optional<std::string>>(s));                     // refused
    static_cast<void>(atrium::make_shared<std::optional<std::array<int*, 3>>>(s));             // refused
    static_cast<void>(atrium::make_shared<std::pair<int, std::string>>(s));                    // refused
    static_cast<void>(atrium::make_shared<std::pair<plain const*, int>>(s));                   // refused
    static_cast<void>(atrium::make_shared<std::tuple<int, std::span<int>>>(s));                // refused
    static_cast<void>(atrium::make_shared<std::tuple<int, std::pair<int, int&>>>(s));          // refused
    static_cast<void>(atrium::make_shared<std::variant<int, int*>>(s));                        // refused
    static_cast<void>(atrium::make_shared<std::variant<int, std::string>>(s));                 // refused
    static_cast<void>(atrium::make_shared<atrium::atomic<int*>>(s));                           // refused
    static_cast<void>(atrium::make_shared<std::array<atrium::string, 3>>(s));                  // refused
    static_cast<void>(atrium::make_shared<std::optional<atrium::vector<int>>>(s));             // refused
    static_cast<void>(atrium::make_shared<std::variant<int, atrium::string>>(s));              // refused
    static_cast<void>(atrium::make_shared<std::optional<std::pair<int, atrium::string>>>(s));  // refused
    static_cast<void>(atrium::make_shared<std::tuple<int, atrium::string>>(s));                // refused
    static_cast<void>(atrium::make_shared<std::tuple<std::pair<int, atrium::string>>>(s));     // refused
    static_cast<void>(atrium::make_shared<atrium::vector<std::optional<atrium::string>>>(s));  // refused
    static_cast<void>(atrium::make_shared<atrium::atomic<plain>>(s));                          // refused
    static_cast<void>(atrium::make_shared<atrium::vector<std::string_view>>(s));               // refused
    static_cast<void>(atrium::make_shared<atrium::guarded<std::optional<int*>>>(s));           // refused
    static_cast<void>(atrium::pool<std::string>(atrium::open_only, s, "p"));                   // refused
    static_cast<void>(atrium::pool<std::vector<int>>(atrium::open_only, s, "p"));              // refused
    static_cast<void>(atrium::pool<int*>(atrium::open_only, s, "p"));                          // refused
    static_cast<void>(atrium::pool<int&>(atrium::open_only, s, "p"));                          // refused
    static_cast<void>(atrium::pool<polymorphic>(atrium::open_only, s, "p"));                   // refused
    static_cast<void>(atrium::array_pool<std::string>(atrium::open_only, s, "p", 3));          // refused
    static_cast<void>(atrium::array_pool<polymorphic>(atrium::open_only, s, "p", 3));          // refused
    static_cast<void>(atrium::growing_pool<std::string>(atrium::open_only, s, "p"));           // refused
    static_cast<void>(atrium::growing_pool<int*>(atrium::open_only, s, "p"));                  // refused
    static_cast<void>(atrium::named<std::string>(atrium::open_only, s, "p"));                  // refused
    static_cast<void>(atrium::named<atrium::guarded<std::string>>(atrium::open_only, s, "p")); // refused
    static_cast<void>(atrium::pool<std::string_view>(atrium::open_only, s, "p"));              // refused
    static_cast<void>(atrium::named<std::pair<int, std::string>>(atrium::open_only, s, "p"));  // refused
    // clang-format on
#endif
}
