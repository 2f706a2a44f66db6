// IncomingMove: a migration to this host, from the first offer to its end or its undoing. For kz-radd, which
// ties it to the source's connection; the steps are those of migrate/offer.h.
//
// Destroyed before its end, it undoes what it did: a source that vanishes leaves nothing behind. Once memory
// moves the zone's monitor decides by host data.
#pragma once

#include <memory>
#include <string>

#include "client/client.h"
#include "migrate/offer.h"

namespace kz::client {

class IncomingMove {
  public:
    // Checks all that can be checked before anything is done.
    static Result<std::unique_ptr<IncomingMove>> begin(Client& client, std::string zone,
                                                       migrate::Offer offer);
    ~IncomingMove();
    IncomingMove(const IncomingMove&) = delete;
    IncomingMove& operator=(const IncomingMove&) = delete;

    Result<migrate::Acceptance> acceptance() const;
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
    Result<void> check_host() const;
    Result<void> check_configuration() const;
    Result<Json> ask(std::string_view operation, Json request, int cancel_fd = -1);
    void remove_import();

    Client& client_;
    std::string zone_;
    migrate::Offer offer_;
    zone::Config config_;
    Step step_ = Step::offered;
    bool imported_ = false;
};

}  // namespace kz::client
