#include "rad/router.h"

#include "base/bytes.h"
#include "base/text.h"

namespace kz::rad {
namespace {

bool is_placeholder(std::string_view segment) {
    return segment.starts_with('{') && segment.ends_with('}');
}

// Nothing when the path is another one.
Result<std::optional<std::map<std::string, std::string>>> fit(const std::vector<std::string>& pattern,
                                                              const std::vector<std::string>& path) {
    std::map<std::string, std::string> parameters;
    if (pattern.size() != path.size()) return std::nullopt;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        KZ_TRY(std::string segment, percent_decode(path[i]));
        if (!is_placeholder(pattern[i])) {
            if (segment != pattern[i]) return std::nullopt;
        } else {
            if (segment.empty()) return std::nullopt;
            parameters[pattern[i].substr(1, pattern[i].size() - 2)] = std::move(segment);
        }
    }
    return parameters;
}

}  // namespace

void Router::add(std::string method, std::string_view pattern, Access access, Handler handler) {
    routes_.push_back(
        {std::move(method), std::string(pattern), access, std::move(handler), {}, split(pattern, '/')});
}

void Router::add_stream(std::string_view pattern, Access access, Streamer streamer) {
    routes_.push_back({"GET", std::string(pattern), access, {}, std::move(streamer), split(pattern, '/')});
}

Result<Router::Match> Router::match(std::string_view method, std::string_view path) const {
    const std::vector<std::string> segments = split(path, '/');
    bool other_method = false;
    for (const Route& route : routes_) {
        KZ_TRY(auto parameters, fit(route.segments, segments));
        if (!parameters) continue;
        if (route.method == method) return Match{&route, *std::move(parameters)};
        other_method = true;
    }
    if (other_method) return fail(Errc::unsupported, "{} does not go with {}", method, path);
    return fail(Errc::not_found, "there is nothing at {}", path);
}

Result<std::string> percent_decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '%') {
            const auto byte = from_hex(text.substr(i + 1, 2));
            if (!byte || byte->size() != 1) return fail(Errc::invalid_argument, "broken %-escape");
            c = static_cast<char>(byte->front());
            i += 2;
        }
        if (c == '\0') return fail(Errc::invalid_argument, "a NUL in the path");
        out += c;
    }
    return out;
}

Result<std::map<std::string, std::string>> parse_query(std::string_view query) {
    std::map<std::string, std::string> result;
    if (query.empty()) return result;
    for (const std::string& part : split(query, '&')) {
        const auto equals = std::min(part.find('='), part.size());
        KZ_TRY(std::string name, percent_decode(std::string_view(part).substr(0, equals)));
        const auto raw = std::string_view(part).substr(std::min(equals + 1, part.size()));
        KZ_TRY(std::string value, percent_decode(raw));
        result[std::move(name)] = std::move(value);
    }
    return result;
}

unsigned http_status(Errc code) {
    switch (code) {
        case Errc::invalid_argument:
        case Errc::protocol:
            return 400;
        case Errc::permission:
            return 403;
        case Errc::not_found:
            return 404;
        case Errc::already_exists:
        case Errc::wrong_state:
        case Errc::busy:
        case Errc::cancelled:
            return 409;
        case Errc::unsupported:
            return 501;
        case Errc::unavailable:
            return 503;
        case Errc::timeout:
            return 504;
        case Errc::no_space:
            return 507;
        case Errc::io:
        case Errc::corrupt:
        case Errc::internal:
            return 500;
    }
    return 500;
}

Json error_body(const Error& error) {
    return {{"error", {{"code", errc_name(error.code())}, {"message", error.message()}}}};
}

}  // namespace kz::rad
