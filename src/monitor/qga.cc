#include "monitor/qga.h"

#include <arpa/inet.h>

#include <array>
#include <vector>

#include "crypto/random.h"

namespace kz::monitor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kMaxLine = 256 * 1024;
constexpr seconds kLookPause{20};
constexpr seconds kTalkTime{3};
constexpr std::string_view kDelimiter = "\xff";

std::uint64_t wall_clock_ns() {
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                          std::chrono::system_clock::now().time_since_epoch())
                                          .count());
}

// Nothing where it is not one that is shown.
std::optional<std::string> shown_address(const Json& entry) {
    const auto text = json_text(entry, "ip-address");
    const auto prefix = json_u64(entry, "prefix");
    if (!text || !prefix || *prefix > 128) return std::nullopt;
    std::array<Byte, 16> raw{};
    const bool v4 = ::inet_pton(AF_INET, text->c_str(), raw.data()) == 1;
    if (!v4 && ::inet_pton(AF_INET6, text->c_str(), raw.data()) != 1) return std::nullopt;
    const bool link_local = !v4 && raw[0] == 0xfe && (raw[1] & 0xc0) == 0x80;
    if (link_local || (v4 && raw[0] == 127) || *text == "::1") return std::nullopt;
    return fmt::format("{}/{}", *text, *prefix);
}

}  // namespace

std::vector<store::GuestAddress> addresses_from_qga(const Json& interfaces) {
    std::vector<store::GuestAddress> found;
    if (!interfaces.is_array()) return found;
    for (const Json& interface : interfaces) {
        const auto name = json_text(interface, "name");
        if (!name || !interface.is_object()) continue;
        const auto list = interface.find("ip-addresses");
        if (list == interface.end() || !list->is_array()) continue;
        for (const Json& entry : *list) {
            const auto address = shown_address(entry);
            if (address && found.size() < kz::agent::kMaxAddresses)
                found.push_back({kz::agent::printable(*name, kz::agent::kMaxName), *address});
        }
    }
    return found;
}

Qga::Qga(Agent& ours, Log& log, EventFd cancel) : ours_(ours), log_(log), cancel_(std::move(cancel)) {}

Result<std::unique_ptr<Qga>> Qga::create(Agent& ours, Log& log) {
    KZ_TRY(EventFd cancel, EventFd::create());
    cancel.signal();
    std::unique_ptr<Qga> qga(new Qga(ours, log, std::move(cancel)));
    qga->thread_ = std::jthread([raw = qga.get()](const std::stop_token& stop) { raw->run(stop); });
    return qga;
}

Qga::~Qga() {
    detach();
}

void Qga::attach(UniqueFd port) {
    const std::lock_guard lock(mutex_);
    port_ = port ? std::make_shared<UniqueFd>(std::move(port)) : nullptr;
    open_ = false;
}

void Qga::detach() {
    const std::lock_guard lock(mutex_);
    cancel_.signal();
    port_.reset();
    open_ = false;
    clock_due_ = false;
}

void Qga::port_changed(bool open) {
    {
        const std::lock_guard lock(mutex_);
        open_ = open && port_;
        open_ ? cancel_.reset() : cancel_.signal();
    }
    if (!open) ours_.other_report(std::nullopt);
    changed_.notify_all();
}

void Qga::set_clock() {
    const std::lock_guard lock(mutex_);
    clock_due_ = port_ != nullptr;
    changed_.notify_all();
}

bool Qga::is_open() const {
    const std::lock_guard lock(mutex_);
    return open_;
}

void Qga::run(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
        const bool clock = open_ && clock_due_;
        const bool there = open_;
        if (clock) clock_due_ = false;
        lock.unlock();
        if (there && !ours_.connected()) {
            if (clock) put_clock_right();
            look();
        }
        lock.lock();
        // A port that has just been opened, or a clock that is wrong, does not wait.
        const auto pressing = [&] { return open_ && (clock_due_ || !there); };
        changed_.wait_for(lock, stop, kLookPause, pressing);
    }
}

void Qga::look() {
    const Result<Json> interfaces =
        ask("guest-network-get-interfaces", Json::object(), Deadline::after(kTalkTime));
    if (!interfaces) return ours_.other_report(std::nullopt);
    ours_.other_report(store::GuestReport{"qemu-ga", true, addresses_from_qga(*interfaces)});
}

void Qga::put_clock_right() {
    const Deadline deadline = Deadline::after(kTalkTime);
    Result<void> done;
    {
        const std::lock_guard talking(talk_);
        done = synchronize(deadline);
        if (done) done = send("guest-set-time", {{"time", wall_clock_ns()}}, deadline);
        if (done) {
            const Result<std::string> answer = read_line(deadline);
            if (!answer) done = std::unexpected(answer.error());
        }
    }
    if (!done) log_.error("setting the guest's clock by qemu-ga: {}", done.error().message());
}

Result<void> Qga::send(const std::string& command, const Json& arguments, Deadline deadline) {
    std::shared_ptr<UniqueFd> port;
    {
        const std::lock_guard lock(mutex_);
        port = port_;
        if (!open_) return fail(Errc::unavailable, "no agent answers in the zone");
    }
    Json request{{"execute", command}};
    if (!arguments.empty()) request["arguments"] = arguments;
    return write_all(port->get(), as_bytes(render_json(request) + "\n"), deadline, cancel_.fd());
}

Result<std::string> Qga::read_line(Deadline deadline) {
    std::shared_ptr<UniqueFd> port;
    {
        const std::lock_guard lock(mutex_);
        port = port_;
    }
    while (port) {
        const std::size_t end = input_.find('\n');
        if (end != std::string::npos) {
            std::string line = input_.substr(0, end);
            input_.erase(0, end + 1);
            return line;
        }
        if (input_.size() > kMaxLine) return fail(Errc::protocol, "qemu-ga: a line without end");
        std::array<Byte, 4096> chunk;
        KZ_TRY(const std::size_t got, read_some(port->get(), chunk, deadline, cancel_.fd()));
        if (got == 0) break;
        input_.append(as_text(ByteView(chunk).first(got)));
    }
    return fail(Errc::unavailable, "no agent answers in the zone");
}

Result<void> Qga::synchronize(Deadline deadline) {
    input_.clear();
    // Not one that an answer to somebody else can have.
    std::array<Byte, 4> random{};
    KZ_CHECK(crypto::fill_random(random));
    const std::uint32_t id = load_le<std::uint32_t>(random.data()) >> 1;
    {
        const std::lock_guard lock(mutex_);
        if (!open_) return fail(Errc::unavailable, "no agent answers in the zone");
    }
    KZ_CHECK(send("guest-sync-delimited", {{"id", id}}, deadline));
    while (true) {
        KZ_TRY(std::string line, read_line(deadline));
        const std::size_t mark = line.rfind(kDelimiter);
        const Result<Json> answer =
            parse_json(std::string_view(line).substr(mark == line.npos ? 0 : mark + 1));
        if (answer && answer->is_object() && answer->value("return", Json()) == Json(id)) return {};
    }
}

Result<Json> Qga::ask(const std::string& command, const Json& arguments, Deadline deadline) {
    const std::lock_guard talking(talk_);
    KZ_CHECK(synchronize(deadline));
    KZ_CHECK(send(command, arguments, deadline));
    KZ_TRY(const std::string line, read_line(deadline));
    KZ_TRY(Json answer, parse_json(line));
    if (answer.is_object() && answer.contains("return")) return answer["return"];
    KZ_TRY(const Json* error, json_optional_object(answer, "error"));
    if (error == nullptr) return fail(Errc::protocol, "qemu-ga: an answer that is none");
    const std::string why = json_text(*error, "desc").value_or("no reason given");
    return fail(Errc::io, "qemu-ga: {}", kz::agent::printable(why, kz::agent::kMaxReason));
}

Result<void> Qga::tell(const std::string& command, const Json& arguments, Deadline deadline) {
    const std::lock_guard talking(talk_);
    KZ_CHECK(synchronize(deadline));
    return send(command, arguments, deadline);
}

}  // namespace kz::monitor
