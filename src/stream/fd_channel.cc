#include "stream/fd_channel.h"

namespace kz::stream {

Result<std::size_t> FdChannelWriter::commit(std::size_t size) {
    const auto start = std::chrono::steady_clock::now();
    const FdOutput::Waits before = output_.waits();
    KZ_TRY(const std::size_t sent, send(sealer_.seal(size)));
    const FdOutput::Waits& after = output_.waits();
    SendTimes times{
        .plain = size, .link_wait = after.link - before.link, .peer_wait = after.peer - before.peer};
    times.work = std::chrono::steady_clock::now() - start - times.link_wait - times.peer_wait;
    sealer_.report(times);
    return sent;
}

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
        input_.want(opener_.missing());
        KZ_TRY(const std::size_t got, input_.read(opener_.space()));
        if (got == 0) KZ_CHECK(opener_.end_of_input());
        opener_.commit(got);
    }
}

}  // namespace kz::stream
