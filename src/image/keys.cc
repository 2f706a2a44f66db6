#include "image/keys.h"

#include <algorithm>

#include "stream/opener.h"
#include "stream/sealer.h"

namespace kz::image {
namespace {

Result<stream::ChannelKeys> index_keys(const Header& header, ByteView keysource) {
    return stream::derive_channel_keys(keysource, header.salt, "image index", header.info.cipher, 0,
                                       stream::Direction::forward);
}

}  // namespace

Result<stream::ChannelKeys> channel_keys(const Header& header, ByteView keysource, std::uint32_t channel) {
    return stream::derive_channel_keys(keysource, header.salt, "image", header.info.cipher, channel,
                                       stream::Direction::forward);
}

Result<Bytes> seal_index(const Header& header, ByteView keysource, ByteView index) {
    KZ_TRY(const stream::ChannelKeys keys, index_keys(header, keysource));
    KZ_TRY(stream::RecordSealer sealer,
           stream::RecordSealer::create(header.info.cipher, keys, stream::Compression::zstd));
    Bytes sealed;
    while (!index.empty()) {
        const std::size_t part = std::min(index.size(), sealer.space().size());
        std::ranges::copy(index.first(part), sealer.space().begin());
        KZ_TRY(const ByteView record, sealer.seal(part));
        sealed.insert(sealed.end(), record.begin(), record.end());
        index = index.subspan(part);
    }
    KZ_TRY(const ByteView record, sealer.seal_final());
    sealed.insert(sealed.end(), record.begin(), record.end());
    return sealed;
}

Result<Bytes> open_index(const Header& header, ByteView keysource, ByteView sealed, std::uint64_t cap) {
    KZ_TRY(const stream::ChannelKeys keys, index_keys(header, keysource));
    KZ_TRY(stream::RecordOpener opener, stream::RecordOpener::create(header.info.cipher, keys));
    Bytes index;
    while (true) {
        KZ_TRY_CONTEXT(const auto plain, opener.next(), "the image's index");
        if (plain) {
            if (plain->bytes.size() > cap - index.size())
                return fail(Errc::corrupt, "the image's index is too long");
            index.insert(index.end(), plain->bytes.begin(), plain->bytes.end());
            continue;
        }
        if (sealed.empty()) break;
        const MutableBytes space = opener.space();
        const std::size_t part = std::min(space.size(), sealed.size());
        std::ranges::copy(sealed.first(part), space.begin());
        opener.commit(part);
        sealed = sealed.subspan(part);
    }
    KZ_CHECK_CONTEXT(opener.end_of_input(), "the image's index");
    return index;
}

}  // namespace kz::image
