#include "monitor/control.h"

#include "os/io.h"
#include "os/socket.h"

namespace kz::monitor {
namespace {

constexpr std::chrono::seconds kSendTime{5};

Result<Json> parse_object(const std::string& text) {
    Result<Json> json = parse_json(text);
    if (!json || !json->is_object())
        return fail(Errc::protocol, "the zone's monitor sent something that is no JSON object");
    return json;
}

Error error_of(const Json& json) {
    const auto text = [&](const char* key) {
        const auto found = json.find(key);
        return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    return Error(errc_from_name(text("code")), text("message"));
}

}  // namespace

Json outcome_to_json(const Result<Json>& outcome) {
    if (outcome) return {{"ok", *outcome}};
    return {{"error", {{"code", errc_name(outcome.error().code())}, {"message", outcome.error().message()}}}};
}

Result<ControlClient> ControlClient::connect(const HostPaths& paths, std::string_view zone) {
    Result<UniqueFd> fd = unix_connect(paths.control_socket(zone), Deadline::after(kSendTime));
    if (fd) return ControlClient(std::move(*fd));
    // A socket that nobody listens on is what a killed monitor leaves.
    const Errc code = fd.error().code();
    if (code == Errc::not_found || code == Errc::unavailable)
        return fail(Errc::not_found, "the zone has no running monitor");
    return std::unexpected(std::move(fd).error());
}

Result<Json> ControlClient::call(const Json& request, const Listener& listener, Deadline deadline,
                                 int cancel_fd, std::vector<UniqueFd> fds) {
    std::vector<int> numbers;
    for (const UniqueFd& each : fds)
        numbers.push_back(each.get());
    KZ_CHECK(send_message(fd_.get(), render_json(request), numbers, Deadline::after(kSendTime)));
    fds.clear();
    while (true) {
        const Result<Message> message = receive_message(fd_.get(), deadline, cancel_fd);
        if (!message && message.error().code() == Errc::cancelled) {
            cancel_fd = -1;
            KZ_CHECK(
                send_message(fd_.get(), render_json({{"op", "cancel"}}), {}, Deadline::after(kSendTime)));
            continue;
        }
        if (!message) return std::unexpected(Error(message.error()).context("lost the zone's monitor"));
        KZ_TRY(const Json note, parse_object(message->text));
        if (note.contains("ok")) return note["ok"];
        if (note.contains("error")) return std::unexpected(error_of(note["error"]));
        if (note.contains("message") && note["message"].is_string() && listener.message)
            listener.message(note["message"]);
        if (note.contains("progress") && listener.progress) listener.progress(note["progress"]);
    }
}

}  // namespace kz::monitor
