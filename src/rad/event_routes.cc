// What happens to the zones, as server-sent events (text/event-stream):
//
//   id: 12
//   event: zone
//   data: {"type":"zone","zone":"ant1","state":"running",...}
//
// A comment (": heartbeat") when nothing else was said for a while, so that both ends notice a dead
// connection. A client that was too slow gets "event: overrun" and the end: it should ask for the state of
// the zones and subscribe again.
#include "rad/routes.h"

namespace kz::rad {
namespace {

constexpr std::chrono::seconds kHeartbeat{15};

std::string render_event(const Json& event) {
    return fmt::format("id: {}\nevent: {}\ndata: {}\n\n", event["id"].get<std::uint64_t>(),
                       event["type"].get<std::string>(), render_json(event));
}

// What the client may see now: a key or a role may be gone since it subscribed.
class View {
  public:
    View(const Request& request, const Guard& guard) : request_(request), guard_(guard), peer_(request.peer) {
        const auto zone = request.query.find("zone");
        if (zone != request.query.end()) zone_ = zone->second;
    }
    bool open() { return guard_.identify(peer_, request_.connection).value_or(false); }
    bool shows(const Json& event) const {
        const std::string zone = event["zone"].get<std::string>();
        return (zone_.empty() || zone_ == zone) && guard_.allows(peer_, {Need::view, kAnyAuth}, zone);
    }

  private:
    const Request& request_;
    const Guard& guard_;
    PeerIdentity peer_;
    std::string zone_;
};

Result<void> send_pending(Subscription& subscription, const View& view, const Send& send) {
    while (true) {
        KZ_TRY(const std::optional<Json> event, subscription.next());
        if (!event) return {};
        if (view.shows(*event)) KZ_CHECK(send(render_event(*event)));
    }
}

Result<void> stream_events(Request& request, EventHub& hub, const Guard& guard, const Send& send) {
    KZ_TRY(const std::unique_ptr<Subscription> subscription, hub.subscribe());
    View view(request, guard);
    KZ_CHECK(send(": these are the events from now on\n\n"));
    while (true) {
        const auto ready = wait_readable(subscription->fd(), Deadline::after(kHeartbeat), request.cancel_fd);
        if (!ready && ready.error().code() != Errc::timeout) return std::unexpected(ready.error());
        if (!view.open()) return {};
        if (!ready) {
            KZ_CHECK(send(": heartbeat\n\n"));
            continue;
        }
        const Result<void> sent = send_pending(*subscription, view, send);
        if (!sent && sent.error().code() == Errc::no_space)
            return send("event: overrun\ndata: {\"type\":\"overrun\"}\n\n");
        KZ_CHECK(sent);
    }
}

}  // namespace

void add_event_routes(Router& router, EventHub& hub, const Guard& guard) {
    router.add_stream("/api/1/events", {Need::known}, [&hub, &guard](Request& request, const Send& send) {
        return stream_events(request, hub, guard, send);
    });
}

}  // namespace kz::rad
