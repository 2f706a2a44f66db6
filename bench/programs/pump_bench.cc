// One channel of a migration on one machine, without QEMU: a thread that writes into a unix socket as QEMU
// does, a pump, TCP over loopback, a pump, and a thread that reads from a unix socket.
//
//   pump_bench KIND MEGABYTES [DATA [COMPRESSION]]
//   KIND  a cipher; CIPHER/openssl for that back-end; or what it is measured by: `direct` (no pump: TCP
//   alone), `copy`
//         (pumps that read and write), `splice` (pumps that splice through a pipe)
//   DATA  random (the default), zero, text, half (of the pages zero)
//   COMPRESSION  off (the default), lz4, zstd, adaptive
#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <string>
#include <thread>

#include "figures.h"
#include "os/io.h"
#include "os/socket.h"
#include "stream/pump.h"

using namespace kz;

namespace {

constexpr std::size_t kWrite = 512 * 1024;  // what a multifd channel of QEMU sends at once
constexpr std::size_t kCopy = 256 * 1024;
constexpr int kBuffer = 4 * 1024 * 1024;

struct Pair {
    UniqueFd in, out;
};

Pair unix_line() {
    auto [in, out] = unix_socket_pair().value();
    set_socket_buffers(in.get(), kBuffer);
    set_socket_buffers(out.get(), kBuffer);
    return {std::move(in), std::move(out)};
}

Pair tcp_line() {
    const UniqueFd listener = tcp_listen("127.0.0.1", 0).value();
    Pair line;
    line.in = tcp_connect("127.0.0.1", tcp_local_port(listener.get()).value(), Deadline::never()).value();
    line.out = accept_connection(listener.get(), Deadline::never()).value();
    for (const int fd : {line.in.get(), line.out.get()}) {
        set_socket_buffers(fd, kBuffer);
        (void)tune_tcp(fd);
    }
    return line;
}

Bytes data_of(std::string_view kind) {
    constexpr std::size_t kSize = 64 * 1024 * 1024;
    if (kind == "zero") return Bytes(kSize);
    Bytes data = bench::random_data(kSize);
    if (kind == "text") {
        for (Byte& byte : data)
            byte = static_cast<Byte>("etaoin shrdlu\n\0\0"[byte % 16]);
    }
    if (kind == "half") {
        for (std::size_t page = 0; page < kSize; page += 8192)
            std::ranges::fill(MutableBytes(data).subspan(page, 4096), Byte{0});
    }
    return data;
}

stream::Compression compression_of(std::string_view name) {
    if (name == "off") return stream::Compression::off;
    if (name == "lz4") return stream::Compression::lz4;
    if (name == "zstd") return stream::Compression::zstd;
    if (name == "adaptive") return stream::Compression::adaptive;
    bench::give_up("there is no such compression");
}

void feed(int fd, const Bytes& data, std::size_t total) {
    for (std::size_t sent = 0; sent < total;) {
        const std::size_t at = sent % data.size();
        const std::size_t part = std::min<std::size_t>({kWrite, data.size() - at, total - sent});
        if (!write_all(fd, ByteView(data).subspan(at, part), Deadline::never()))
            bench::give_up("feeding failed");
        sent += part;
    }
    ::shutdown(fd, SHUT_WR);
}

std::size_t drain(int fd) {
    Bytes buffer(kWrite);
    std::size_t total = 0;
    while (true) {
        const auto got = read_some(fd, buffer, Deadline::never());
        if (!got) bench::give_up("draining failed");
        if (*got == 0) return total;
        total += *got;
    }
}

void copy_pump(int from, int to) {
    Bytes buffer(kCopy);
    while (true) {
        const auto got = read_some(from, buffer, Deadline::never());
        if (!got) bench::give_up("copying failed");
        if (*got == 0) break;
        if (!write_all(to, ByteView(buffer).first(*got), Deadline::never())) bench::give_up("copying failed");
    }
    ::shutdown(to, SHUT_WR);
}

void splice_pump(int from, int to) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) bench::give_up("pipe");
    const UniqueFd out(ends[0]), in(ends[1]);
    ::fcntl(in.get(), F_SETPIPE_SZ, static_cast<int>(kCopy));
    while (true) {
        ssize_t got = ::splice(from, nullptr, in.get(), nullptr, kCopy, SPLICE_F_MOVE);
        if (got < 0) bench::give_up("splice");
        if (got == 0) break;
        while (got > 0) {
            const ssize_t done = ::splice(out.get(), nullptr, to, nullptr, static_cast<std::size_t>(got),
                                          SPLICE_F_MOVE | SPLICE_F_MORE);
            if (done <= 0) bench::give_up("splice");
            got -= done;
        }
    }
    ::shutdown(to, SHUT_WR);
}

struct Figures {
    std::size_t received = 0;
    double sealing_cpu = 0;
    double opening_cpu = 0;
    stream::PumpTotals totals;
};

template <typename Near, typename Far>
Figures run_line(const Bytes& data, std::size_t total, Near near, Far far) {
    Figures figures;
    Pair source = unix_line(), wire = tcp_line(), sink = unix_line();
    std::jthread feeder([&] { feed(source.in.get(), data, total); });
    std::jthread sealing([&] {
        near(source.out.get(), wire.in.get(), figures);
        figures.sealing_cpu = bench::clock_seconds(CLOCK_THREAD_CPUTIME_ID);
    });
    std::jthread opening([&] {
        far(wire.out.get(), sink.in.get());
        ::shutdown(sink.in.get(), SHUT_WR);
        figures.opening_cpu = bench::clock_seconds(CLOCK_THREAD_CPUTIME_ID);
    });
    figures.received = drain(sink.out.get());
    feeder.join();
    sealing.join();
    opening.join();
    return figures;
}

Figures run_sealed(const Bytes& data, std::size_t total, std::string_view kind,
                   stream::Compression compression) {
    const std::size_t slash = kind.find('/');
    const auto cipher = crypto::parse_cipher(kind.substr(0, slash));
    if (!cipher) bench::give_up("there is no such kind");
    const auto backend =
        slash == std::string_view::npos ? crypto::AeadBackend::automatic : crypto::AeadBackend::openssl;
    const stream::ChannelKeys keys = stream::derive_channel_keys(Bytes(32, 1), Bytes(16, 2), "bench", *cipher,
                                                                 0, stream::Direction::forward)
                                         .value();
    stream::PumpCounters sent, received;
    return run_line(
        data, total,
        [&](int from, int to, Figures& figures) {
            auto sealer = stream::RecordSealer::create(*cipher, keys, compression, backend).value();
            const auto moved = stream::pump_seal(from, to, sealer, {}, sent);
            if (!moved) bench::give_up(moved.error().message());
            figures.totals = *moved;
        },
        [&](int from, int to) {
            auto opener = stream::RecordOpener::create(*cipher, keys, backend).value();
            const auto moved = stream::pump_open(from, to, opener, {}, received);
            if (!moved) bench::give_up(moved.error().message());
        });
}

Figures run_direct(const Bytes& data, std::size_t total) {
    Pair wire = tcp_line();
    std::jthread feeder([&] { feed(wire.in.get(), data, total); });
    Figures figures;
    figures.received = drain(wire.out.get());
    return figures;
}

Figures run(const Bytes& data, std::size_t total, std::string_view kind, stream::Compression compression) {
    if (kind == "direct") return run_direct(data, total);
    if (kind == "copy" || kind == "splice") {
        const auto pump = kind == "copy" ? copy_pump : splice_pump;
        return run_line(
            data, total, [pump](int from, int to, Figures&) { pump(from, to); },
            [pump](int from, int to) { pump(from, to); });
    }
    return run_sealed(data, total, kind, compression);
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 3 || count > 5) bench::give_up("usage: pump_bench KIND MEGABYTES [DATA [COMPRESSION]]");
    const std::size_t total = std::strtoul(arguments[2], nullptr, 10) * 1'000'000;
    const Bytes data = data_of(count > 3 ? arguments[3] : "random");
    const double start = bench::clock_seconds(CLOCK_MONOTONIC);
    const double cpu = bench::clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
    const Figures figures = run(data, total, arguments[1], compression_of(count > 4 ? arguments[4] : "off"));
    if (figures.received != total) bench::give_up("bytes were lost");
    fmt::print(
        "{{\"seconds\": {:.4f}, \"cpu_seconds\": {:.4f}, \"seal_cpu_seconds\": {:.4f}, "
        "\"open_cpu_seconds\": {:.4f}, \"bytes\": {}, \"sealed_bytes\": {}, \"records\": {}}}\n",
        bench::clock_seconds(CLOCK_MONOTONIC) - start, bench::clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu,
        figures.sealing_cpu, figures.opening_cpu, total, figures.totals.sealed_bytes, figures.totals.records);
}
