import os
from pathlib import Path

from conan import ConanFile


class Boost(ConanFile):
    """Stands for a user's own recipe of Boost: its headers are those of the system."""

    name = "boost"
    version = "1.81.0"
    package_type = "header-library"
    no_copy_source = True

    def package(self):
        include = Path(self.package_folder) / "include"
        include.mkdir()
        os.symlink("/usr/include/boost", include / "boost")

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "Boost")
        self.cpp_info.set_property("cmake_target_name", "Boost::boost")
        self.cpp_info.components["headers"].set_property("cmake_target_name", "Boost::headers")
        self.cpp_info.bindirs = self.cpp_info.libdirs = []
