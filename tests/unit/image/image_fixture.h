// What the image tests share.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "image/reader.h"
#include "image/writer.h"
#include "memory_medium.h"

namespace kz::image {

inline const Bytes& key_of_ant1() {
    static const Bytes kKey(32, 0xa1);
    return kKey;
}

inline ImageInfo ant1(std::uint32_t channels) {
    return {.image_id = "",
            .zone_uuid = "4c4ca53c-7a5a-4a3e-9e2d-0123456789ab",
            .zone_name = "ant1",
            .epoch = 7,
            .machine_type = "pc-q35-7.2",
            .qemu_version = "7.2.22",
            .cpu_model = "qemu64",
            .memory_bytes = 512ULL << 20,
            .cpu_count = 2,
            .devices = {"virtio-blk-pci,id=disk0", "virtio-net-pci,id=net0"},
            .created_ms = 1763778600123,
            .channel_count = channels};
}

// Not random, not quickly compressible, different for each channel.
inline Bytes content(std::size_t size, std::uint32_t channel) {
    Bytes bytes(size);
    std::uint64_t state = 88172645463325252ULL + channel;
    for (Byte& byte : bytes) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        byte = static_cast<Byte>(state >> 32);
    }
    return bytes;
}

inline Result<ImageTotals> write_image(std::unique_ptr<Medium> medium, const std::vector<Bytes>& channels,
                                       crypto::Cipher cipher = crypto::kDefaultCipher,
                                       const Bytes& key = key_of_ant1()) {
    KZ_TRY(ImageWriter writer,
           ImageWriter::create(std::move(medium), ant1(static_cast<std::uint32_t>(channels.size())), key,
                               cipher));
    for (std::uint32_t number = 0; number < channels.size(); ++number) {
        KZ_TRY(const auto channel, writer.channel(number));
        KZ_CHECK(channel->append(channels[number]));
        KZ_CHECK(channel->finish());
    }
    return writer.finish();
}

inline Bytes image_bytes(const std::vector<Bytes>& channels, crypto::Cipher cipher = crypto::kDefaultCipher) {
    auto memory = std::make_shared<MemoryBytes>();
    EXPECT_TRUE(write_image(std::make_unique<MemoryMedium>(memory), channels, cipher).has_value());
    return memory->bytes;
}

inline Result<Bytes> read_channel(const ImageReader& reader, std::uint32_t number) {
    KZ_TRY(const auto channel, reader.channel(number));
    Bytes all;
    while (true) {
        KZ_TRY(const auto chunk, channel->next());
        if (chunk.plain.empty()) return all;
        all.insert(all.end(), chunk.plain.begin(), chunk.plain.end());
    }
}

inline Bytes read_golden(const std::string& name) {
    std::ifstream file(std::string(KZ_TEST_DATA) + "/" + name, std::ios::binary);
    EXPECT_TRUE(file.good()) << name;
    return Bytes(std::istreambuf_iterator<char>(file), {});
}

class TemporaryFolder {
  public:
    TemporaryFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "kz-image-XXXXXX").native();
        path_ = ::mkdtemp(name.data());
    }
    ~TemporaryFolder() { std::filesystem::remove_all(path_); }
    Path operator/(const char* name) const { return path_ / name; }
    std::size_t entries() const {
        return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
    }

  private:
    Path path_;
};

}  // namespace kz::image
