// A guest book for all processes that are there at the same time: run `readme NAME` in several terminals.
#include <atrium/memory/guarded.hpp>
#include <atrium/memory/named.hpp>
#include <atrium/memory/string.hpp>
#include <atrium/memory/vector.hpp>
#include <iostream>

int main(int argc, char** argv)
{
    using namespace std::chrono_literals;
    atrium::segment                                                segment(atrium::open_or_create, "readme");
    atrium::named<atrium::guarded<atrium::vector<atrium::string>>> guests(atrium::open_or_create, segment, "guests");

    // The lock ends with `access`, or with the process; what a killed process has left half-changed is made anew.
    if (auto access = guests->lock_or_rebuild(1s))
    {
        (*access)->emplace_back(argc > 1 ? argv[1] : "somebody");
        for (auto const& guest : **access)
            std::cout << guest << '\n';
    }
    std::cin.get(); // stays until Enter; the last one to go takes the segment along
}
