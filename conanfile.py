import re
from pathlib import Path

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, rmdir

required_conan_version = ">=2.0"


class Atrium(ConanFile):
    name = "atrium"
    description = "Shared memory, counted across processes, for programs that are several processes"
    license = "MIT"
    topics = ("shared-memory", "ipc", "interprocess", "crash-recovery")
    package_type = "library"
    settings = "os", "compiler", "build_type", "arch"
    options = {"shared": [True, False], "fPIC": [True, False], "with_tool": [True, False]}
    default_options = {"shared": False, "fPIC": True, "with_tool": False}
    implements = ["auto_shared_fpic"]
    exports_sources = "CMakeLists.txt", "LICENSE", "include/*", "lib/*"
    exports = "include/atrium/base/version.hpp"

    def set_version(self):
        header = (Path(self.recipe_folder) / "include/atrium/base/version.hpp").read_text(encoding="utf-8")
        self.version = re.search(r'#define ATRIUM_VERSION "([^"]+)"', header).group(1)

    def layout(self):
        cmake_layout(self)

    def requirements(self):
        self.requires("boost/[>=1.81 <2]", transitive_headers=True)

    def validate(self):
        check_min_cppstd(self, 20)

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        toolchain.user_presets_path = False
        for option in ("TESTS", "EXAMPLES", "BENCH"):
            toolchain.cache_variables[f"ATRIUM_{option}"] = False
        toolchain.cache_variables["ATRIUM_TOOL"] = bool(self.options.with_tool)
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE", self.source_folder, str(Path(self.package_folder) / "licenses"))
        rmdir(self, str(Path(self.package_folder) / "share"))

    def package_info(self):
        # The library's own description serves here too: the same targets and components as where it is installed,
        # and its Boost is found whether it comes from a recipe or from the system (platform_requires).
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = ["lib/cmake/atrium"]
        # What other generators see.
        self.cpp_info.libs = ["atrium"]
        self.cpp_info.system_libs = ["pthread"]
        if "boost" in {dependency.ref.name for dependency in self.dependencies.direct_host.values()}:
            self.cpp_info.requires = ["boost::headers"]
