// A tree of objects that one process builds and two others use, also after its builder was killed.
#include <atrium/memory/guarded.hpp>
#include <atrium/memory/make_shared.hpp>
#include <atrium/memory/named.hpp>
#include <atrium/memory/segment_ptr.hpp>
#include <atrium/memory/string.hpp>
#include <atrium/memory/vector.hpp>
#include <atrium/segment/segment.hpp>

#include <csignal>
#include <iostream>
#include <string>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;

// Whatever has memory of its own takes the allocator of the object that it is a part of.
struct folder
{
    static constexpr bool is_shareable = true;
    using allocator_type               = atrium::allocator<std::byte>;

    folder(std::allocator_arg_t, allocator_type const& own, char const* named) : name(named, own), folders(own) {}

    atrium::string                              name;
    atrium::vector<atrium::segment_ptr<folder>> folders; // they live as long as something refers to them
};

using tree = atrium::guarded<atrium::segment_ptr<folder>>;

auto made(atrium::segment const& segment, char const* name)
{
    return atrium::make_shared<folder>(segment, name).value(); // a shared_ptr, to be used as the standard's
}

int build(atrium::segment const& segment) // and stay until killed
{
    auto const usr = made(segment, "usr");
    for (char const* name : {"bin", "lib", "share"})
        usr->folders.emplace_back(made(segment, name));
    auto const root = made(segment, "/");
    root->folders.emplace_back(made(segment, "etc"));
    root->folders.emplace_back(usr);

    atrium::named<tree> top(atrium::open_only, segment, "tree");
    *top->lock(5s).value() = root;
    kill(getpid(), SIGKILL);
    return 1;
}

void print(folder const& of, std::size_t depth)
{
    std::cout << std::string(2 * depth, ' ') << of.name << '\n';
    for (auto const& each : of.folders)
        print(*each, depth + 1);
}

int read(atrium::segment const& segment)
{
    atrium::named<tree> top(atrium::open_only, segment, "tree");
    auto const          root = top->lock(5s).value()->share().value(); // this process refers to it now, too
    print(*root, 0);
    return 0;
}

int prune(atrium::segment const& segment)
{
    atrium::named<tree> top(atrium::open_only, segment, "tree");
    auto                access = top->lock(5s).value();
    (*access)->folders.pop_back(); // nothing else refers to `usr`: it is destroyed, with all that is below
    return 0;
}

int run_myself(char* program, char const* role)
{
    pid_t child     = 0;
    char* started[] = {program, const_cast<char*>(role), nullptr};
    int   status    = 0;
    if (posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, started, environ) != 0 ||
        waitpid(child, &status, 0) != child)
        return -1;
    return status;
}

int main(int argc, char** argv)
{
    std::string const role = argc > 1 ? argv[1] : "";
    atrium::segment   segment(atrium::open_or_create, "object-graph");
    if (role == "build")
        return build(segment);
    if (role == "read")
        return read(segment);
    if (role == "prune")
        return prune(segment);

    atrium::named<tree> top(atrium::create_only, segment, "tree");
    bool const          killed = run_myself(argv[0], "build") == SIGKILL;
    std::cout << "the builder was " << (killed ? "killed" : "not killed") << std::endl;
    return run_myself(argv[0], "read") + run_myself(argv[0], "prune") + run_myself(argv[0], "read");
}
