// What the installer's tests share: a folder of one's own, and a host whose apt is a script.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "install/temp_folder.h"

namespace kz::install {

// For debugfs and e2fsck, behind the path of a disk: where the root's file system is (gpt.h).
inline constexpr std::string_view kRootOffset = "?offset=16777216";

inline void put(const Path& path, std::string_view content, bool executable = false) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
    if (executable) std::filesystem::permissions(path, std::filesystem::perms(0755));
}

inline std::string get(const Path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

class FolderTest : public ::testing::Test {
  protected:
    const Path& folder() const { return folder_.path(); }

  private:
    static TempFolder make() {
        Result<TempFolder> made = TempFolder::create(::testing::TempDir(), "kz-install-");
        if (!made) throw std::runtime_error(made.error().message());
        return *std::move(made);
    }
    TempFolder folder_ = make();
};

// apt-get knows the packages of the folder "archive" (one folder per package, its content the package's) at
// the version in "version", until the file "offline" exists; each download is counted in "downloads".
class FakeAptTest : public FolderTest {
  protected:
    void SetUp() override {
        const char* path = std::getenv("PATH");
        saved_path_ = path ? path : "";
        const std::string bin = (folder() / "tools").string();
        ::setenv("PATH", (bin + ":" + saved_path_).c_str(), 1);
        const std::string at = "at=" + folder().string() + "\n";
        put(folder() / "tools/apt-get",
            "#!/bin/sh\n" + at +
                "[ -e $at/offline ] && { echo 'E: Unable to fetch some archives' >&2; exit 100; }\n"
                "for name; do :; done\n"
                "name=${name%%=*}\n"
                "[ -d $at/archive/$name ] || { echo \"E: Unable to locate package $name\" >&2; exit 100; }\n"
                "version=$(cat $at/version)\n"
                "case \"$*\" in\n"
                "*--print-uris*) digest=$(echo $name $version | sha256sum)\n"
                "  echo \"'http://x/y' ${name}_1%3a${version}_amd64.deb 10 SHA256:${digest%% *}\" ;;\n"
                "*) echo $name >>$at/downloads; echo $name >${name}_1%3a${version}_amd64.deb ;;\n"
                "esac\n",
            true);
        put(folder() / "tools/apt-cache", "#!/bin/sh\necho '  Depends: linux-image-6.0-test'\n", true);
        put(folder() / "tools/dpkg-deb",
            "#!/bin/sh\n" + at + "[ -e $at/stuck ] && exec sleep 100\ncp -a $at/archive/$(cat $2) $3\n",
            true);
        put(folder() / "version", "1.0");
    }
    void TearDown() override { ::setenv("PATH", saved_path_.c_str(), 1); }

  private:
    std::string saved_path_;
};

}  // namespace kz::install
