#include "image/volume_medium.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "image/format.h"
#include "storage/host_data.h"

namespace kz::image {
namespace {

static_assert(kBlock == storage::kVolumeBlock);

// A volume takes whole blocks, an image consists of records of any size: blocks at the seams are kept until
// all of their bytes have come. Every byte is written once.
class VolumeMedium final : public Medium {
  public:
    explicit VolumeMedium(std::unique_ptr<storage::Volume> volume)
        : volume_(std::move(volume)), size_(volume_->size_bytes() / kBlock * kBlock) {}

    Result<void> read_at(std::uint64_t offset, MutableBytes out) override {
        const std::lock_guard lock(mutex_);
        if (offset > size_ || out.size() > size_ - offset)
            return fail(Errc::corrupt, "{} ends too early", volume_->suri().render());
        return volume_->read(offset, out);
    }

    Result<void> write_at(std::uint64_t offset, ByteView bytes) override {
        const std::lock_guard lock(mutex_);
        if (offset > size_ || bytes.size() > size_ - offset)
            return fail(Errc::no_space, "{} is too small for the image", volume_->suri().render());
        const std::size_t head =
            std::min(bytes.size(), static_cast<std::size_t>((kBlock - offset % kBlock) % kBlock));
        KZ_CHECK(keep(offset, bytes.first(head)));
        const std::size_t whole = (bytes.size() - head) / kBlock * kBlock;
        if (whole > 0) KZ_CHECK(volume_->write(offset + head, bytes.subspan(head, whole)));
        return keep(offset + head + whole, bytes.subspan(head + whole));
    }

    Result<std::uint64_t> size() override { return size_; }
    std::optional<std::uint64_t> fixed_size() const override { return size_; }

    Result<void> sync() override {
        const std::lock_guard lock(mutex_);
        for (const auto& [at, block] : seams_)
            KZ_CHECK(volume_->write(at, block.bytes));
        return volume_->flush();
    }

    Result<void> publish() override { return {}; }

  private:
    struct Seam {
        Block bytes{};
        std::size_t filled = 0;
    };

    // A part of one block.
    Result<void> keep(std::uint64_t offset, ByteView bytes) {
        if (bytes.empty()) return {};
        const std::uint64_t at = offset / kBlock * kBlock;
        Seam& seam = seams_[at];
        std::ranges::copy(bytes, seam.bytes.begin() + static_cast<std::ptrdiff_t>(offset - at));
        seam.filled += bytes.size();
        if (seam.filled < kBlock) return {};
        const Result<void> written = volume_->write(at, seam.bytes);
        seams_.erase(at);
        return written;
    }

    std::unique_ptr<storage::Volume> volume_;
    std::uint64_t size_;
    std::mutex mutex_;
    std::map<std::uint64_t, Seam> seams_;
};

Result<Block> read_block(storage::Volume& volume, std::uint64_t at) {
    Block block{};
    KZ_CHECK(volume.read(at, block));
    return block;
}

// Nobody points a zone's suspend resource at a disk with something on it but by mistake.
Result<void> check_may_overwrite(storage::Volume& volume) {
    KZ_TRY(const Block first, read_block(volume, 0));
    const bool blank = std::ranges::all_of(first, [](Byte byte) { return byte == 0; });
    if (!blank && !decode_header(first)) {
        return fail(Errc::already_exists,
                    "{} holds something that is no suspend image; to use it for images, clear its first "
                    "4096 bytes",
                    volume.suri().render());
    }
    KZ_TRY(const storage::HostDataProbe probe, storage::HostDataArea::probe(volume));
    if (probe.kind != storage::HostDataProbe::Kind::blank && !decode_header(first)) {
        return fail(Errc::already_exists, "{} is the boot disk of a zone", volume.suri().render());
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<Medium>> create_volume_medium(std::unique_ptr<storage::Volume> volume) {
    constexpr std::uint64_t kSmallest = 4 * kBlock;
    if (volume->size_bytes() < kSmallest + storage::kHostDataBytes)
        return fail(Errc::no_space, "{} is too small for an image", volume->suri().render());
    KZ_CHECK(check_may_overwrite(*volume));
    return std::make_unique<VolumeMedium>(std::move(volume));
}

Result<std::unique_ptr<Medium>> open_volume_medium(std::unique_ptr<storage::Volume> volume) {
    return std::make_unique<VolumeMedium>(std::move(volume));
}

Result<void> wipe_volume_image(storage::Volume& volume) {
    KZ_TRY(const Block first, read_block(volume, 0));
    if (!decode_header(first)) return {};
    const Block zeros{};
    KZ_CHECK(volume.write_durable(0, zeros));
    return volume.write_durable(volume.size_bytes() / kBlock * kBlock - kBlock, zeros);
}

}  // namespace kz::image
