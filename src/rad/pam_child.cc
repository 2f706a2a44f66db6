// The process that asks PAM: see rad/pam_check.h.
#include <security/pam_appl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>

#include "os/io.h"
#include "rad/pam_check.h"

namespace kz::rad {
namespace {

constexpr int kAccepted = 0;
constexpr int kRefused = 1;
constexpr int kCouldNotAsk = 2;
constexpr std::uint16_t kMaxField = 4096;
// Ends also when whoever asked was killed and nobody kills this process.
constexpr unsigned kLongestLife = 120;

struct Credentials {
    std::string user;
    std::string address;
    Secret password;  // with a final NUL, as PAM wants it
};

Result<Secret> read_field(bool terminated) {
    std::array<Byte, 2> header{};
    KZ_CHECK(read_exact(STDIN_FILENO, header, Deadline::never()));
    const auto size = load_le<std::uint16_t>(header.data());
    if (size > kMaxField) return fail(Errc::protocol, "a field of {} bytes", size);
    Secret field = Secret::of_size(size + (terminated ? 1U : 0U));
    KZ_CHECK(read_exact(STDIN_FILENO, field.mutable_view().first(size), Deadline::never()));
    return field;
}

Result<Credentials> read_credentials() {
    KZ_TRY(const Secret user, read_field(false));
    KZ_TRY(const Secret address, read_field(false));
    KZ_TRY(Secret password, read_field(true));
    if (std::memchr(password.view().data(), 0, password.size()) != &password.view().back())
        return fail(Errc::permission, "a NUL in the password");
    return Credentials{std::string(as_text(user.view())), std::string(as_text(address.view())),
                       std::move(password)};
}

// PAM's questions: the password for what is not echoed, nothing for all others. PAM frees the answers.
int answer_pam(int count, const pam_message** messages, pam_response** responses, void* data) {
    if (count <= 0 || count > PAM_MAX_NUM_MSG) return PAM_CONV_ERR;
    auto* answers =
        static_cast<pam_response*>(std::calloc(static_cast<std::size_t>(count), sizeof(pam_response)));
    if (answers == nullptr) return PAM_BUF_ERR;
    const auto& credentials = *static_cast<const Credentials*>(data);
    for (int i = 0; i < count; ++i)
        if (messages[i]->msg_style == PAM_PROMPT_ECHO_OFF)
            answers[i].resp = ::strdup(reinterpret_cast<const char*>(credentials.password.view().data()));
    *responses = answers;
    return PAM_SUCCESS;
}

// One conversation with PAM.
class Conversation {
  public:
    Conversation(Credentials& credentials, const std::optional<Path>& folder)
        : conversation_{answer_pam, &credentials} {
        constexpr const char* kService = "kzones";
        const char* user = credentials.user.c_str();
        status_ = folder ? ::pam_start_confdir(kService, user, &conversation_, folder->c_str(), &handle_)
                         : ::pam_start(kService, user, &conversation_, &handle_);
        step([&] { return ::pam_set_item(handle_, PAM_RHOST, credentials.address.c_str()); });
        step([&] { return ::pam_set_item(handle_, PAM_TTY, "kz-radd"); });
    }
    Conversation(const Conversation&) = delete;
    Conversation& operator=(const Conversation&) = delete;
    ~Conversation() {
        if (handle_ != nullptr) ::pam_end(handle_, status_);
    }

    bool started() const { return handle_ != nullptr && status_ == PAM_SUCCESS; }
    bool accepts() {
        step([&] { return ::pam_authenticate(handle_, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK); });
        // An account that has expired, or whose password has to be changed first, is refused here.
        step([&] { return ::pam_acct_mgmt(handle_, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK); });
        return status_ == PAM_SUCCESS;
    }
    std::string user() {
        const void* item = nullptr;
        const bool known = ::pam_get_item(handle_, PAM_USER, &item) == PAM_SUCCESS && item != nullptr;
        return known ? static_cast<const char*>(item) : "";
    }
    // Whether PAM said no, rather than that something of its own is wrong.
    bool refused() const {
        for (const int answer :
             {PAM_AUTH_ERR, PAM_USER_UNKNOWN, PAM_MAXTRIES, PAM_PERM_DENIED, PAM_ACCT_EXPIRED,
              PAM_NEW_AUTHTOK_REQD, PAM_CRED_EXPIRED, PAM_AUTHTOK_EXPIRED})
            if (status_ == answer) return true;
        return false;
    }
    const char* reason() const { return ::pam_strerror(handle_, status_); }

  private:
    template <typename Call>
    void step(Call call) {
        if (handle_ != nullptr && status_ == PAM_SUCCESS) status_ = call();
    }
    pam_conv conversation_;
    pam_handle_t* handle_ = nullptr;
    int status_ = PAM_SYSTEM_ERR;
};

void shield_memory() {
    ::prctl(PR_SET_DUMPABLE, 0);
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::alarm(kLongestLife);
}

int say(int status, std::string_view text) {
    [[maybe_unused]] const auto written =
        write_all(STDOUT_FILENO, as_bytes(text), Deadline::after(std::chrono::seconds(1)));
    return status;
}

}  // namespace

int check_password_main(const std::optional<Path>& service_folder) {
    shield_memory();
    Result<Credentials> credentials = read_credentials();
    if (!credentials) {
        const bool refused = credentials.error().code() == Errc::permission;
        return say(refused ? kRefused : kCouldNotAsk, credentials.error().message());
    }
    Conversation conversation(*credentials, service_folder);
    if (!conversation.started()) return say(kCouldNotAsk, "PAM could not be started");
    if (conversation.accepts()) return say(kAccepted, conversation.user());
    return say(conversation.refused() ? kRefused : kCouldNotAsk, conversation.reason());
}

}  // namespace kz::rad
