// IncomingMove: a migration to this host, from the first offer to its end or its undoing. For kz-radd, which
// ties it to the source's connection; the steps are those of migrate/offer.h.
//
// Destroyed before its end, it undoes what it did: a source that vanishes leaves nothing behind. Once memory
// moves the zone's monitor decides by host data.
#pragma once

#include <memory>
#include <string>

#include "client/client.h"
#include "migrate/checks_link.h"
#include "migrate/offer.h"

namespace kz::client {

class IncomingMove {
  public:
    // Checks all that can be checked before anything is done; what came of it is in the acceptance, and with
    // errors in it no further step is possible.
    static Result<std::unique_ptr<IncomingMove>> begin(Client& client, std::string zone,
                                                       migrate::Offer offer);
    ~IncomingMove();
    IncomingMove(const IncomingMove&) = delete;
    IncomingMove& operator=(const IncomingMove&) = delete;

    Result<migrate::Acceptance> acceptance() const;
    // Live: a connection for the source to try, before configure().
    Result<Json> link();
    Result<Json> configure();
    Result<Json> attach();
    Result<Json> boot(unsigned connections);
    Result<Json> loaded(int cancel_fd);
    Result<Json> resume(const Json& request);
    // Warm and cold, after the commit.
    Result<Json> adopt();
    // After a warm move of a zone that ran at the source: it resumes here.
    Result<Json> start();
    void undo();

  private:
    enum class Step { offered = 1, configured, attached, booted, adopted, done };
    IncomingMove(Client& client, std::string zone, migrate::Offer offer, zone::Config config)
        : client_(client), zone_(std::move(zone)), offer_(std::move(offer)), config_(std::move(config)) {}
    Result<void> require(Step step) const;
    Result<void> import_configuration();
    Result<Json> ask(std::string_view operation, Json request, int cancel_fd = -1);
    void note_arrival() const;
    void remove_import();

    Client& client_;
    std::string zone_;
    migrate::Offer offer_;
    zone::Config config_;
    std::uint64_t received_ms_ = 0;
    std::string qemu_version_;
    migrate::Findings findings_;
    std::unique_ptr<migrate::LinkSink> link_;
    Step step_ = Step::offered;
    bool imported_ = false;
};

// Removes what moves to this host have left that nobody goes on with: kz-radd was killed, or the host went
// down, after a configuration was imported and before the zone was this host's. One of which host data say
// that this host owns it stays (`attach` takes it), as does one of which they cannot be read now. Returns the
// zones that were removed.
std::vector<std::string> remove_stale_imports(const store::Registry& registry);

}  // namespace kz::client
