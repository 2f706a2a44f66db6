#include "stream/fd_channel.h"

namespace kz::stream {

Result<std::size_t> FdChannelWriter::send(Result<ByteView> record) {
    KZ_TRY(const ByteView bytes, std::move(record));
    KZ_CHECK(output_.write(bytes));
    return bytes.size();
}

Result<ChannelReader::Chunk> FdChannelReader::next() {
    while (true) {
        KZ_TRY(const auto plain, opener_.next());
        if (plain) return Chunk{plain->bytes, plain->sealed};
        if (opener_.ended()) return Chunk{{}, opener_.final_size()};
        KZ_TRY(const std::size_t got, input_.read(opener_.space()));
        if (got == 0) KZ_CHECK(opener_.end_of_input());
        opener_.commit(got);
    }
}

}  // namespace kz::stream
