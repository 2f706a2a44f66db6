#include "zonecfg/editor.h"

#include <algorithm>

#include "base/text.h"
#include "zone/names.h"
#include "zone/pattern.h"
#include "zone/verify.h"

namespace kz::zonecfg {

namespace {

using zone::Resource;
using zone::ResourceSpec;

constexpr std::size_t kMaxResources = 1024;

std::unexpected<Error> usage() {
    return fail(Errc::protocol, "usage");
}

bool matches_all(const Resource& resource, const Arguments& filters, const std::string& zone_name) {
    return std::ranges::all_of(filters, [&](const Argument& filter) {
        const std::string wanted = filter.value->display();
        // Compared in the canonical form, so that 4096M finds 4G.
        Resource probe(resource.spec());
        const bool valid = probe.set(filter.word, *filter.value).has_value();
        return zone::effective_value(resource, filter.word, zone_name) ==
               (valid ? probe.get(filter.word).value_or("") : wanted);
    });
}

Result<void> check_duplicate_singleton(const ResourceSpec& spec, const std::vector<Resource>& siblings) {
    if (!spec.singleton || zone::resources_of(siblings, spec.type).empty()) return {};
    const bool has_control = spec.type == "capped-memory" || spec.type == "capped-cpu";
    return fail(Errc::already_exists, "The {} resource {}already exists.", spec.type,
                has_control ? "or a related resource control " : "");
}

}  // namespace

void Editor::reset(zone::Config config) {
    config_ = std::move(config);
    frames_.clear();
    retired_.clear();
}

const std::vector<Resource>& Editor::siblings() const {
    return in_resource() ? resource().children() : config_.resources();
}

Result<const ResourceSpec*> Editor::type_here(std::string_view type) const {
    const ResourceSpec* spec = zone::find_resource(type);
    const std::string_view parent = in_resource() ? std::string_view(resource().type()) : std::string_view{};
    if (spec != nullptr && spec->parent == parent) return spec;
    if (spec == nullptr) return fail(Errc::invalid_argument, "{}: {}", type, zone::kNoSuchResourceType);
    return fail(Errc::invalid_argument, "{}: {}\n{}", type, zone::kNoSuchResourceType,
                spec->parent.empty()
                    ? fmt::format("'end' or 'cancel' the {} resource first.", resource().type())
                    : fmt::format("It is part of the {} resource.", spec->parent));
}

unsigned Editor::next_id(std::string_view type) const {
    std::set<unsigned> taken;
    if (const auto retired = retired_.find(type); !in_resource() && retired != retired_.end())
        taken = retired->second;
    for (const Resource* other : zone::resources_of(siblings(), type))
        taken.insert(static_cast<unsigned>(parse_u64(other->get("id").value_or("")).value_or(0)));
    unsigned id = 0;
    while (taken.contains(id))
        ++id;
    return id;
}

Result<void> Editor::begin_resource(const ResourceSpec& spec) {
    KZ_CHECK(check_duplicate_singleton(spec, siblings()));
    if (siblings().size() >= kMaxResources)
        return fail(Errc::invalid_argument, "{}: too many resources", spec.type);
    Resource resource(spec);
    if (zone::find_property(spec, "id") != nullptr)
        KZ_CHECK(resource.set("id", std::to_string(next_id(spec.type))));
    frames_.push_back({std::move(resource), std::nullopt});
    return {};
}

Result<void> Editor::add(const Arguments& arguments) {
    if (in_resource() && arguments.size() == 2) return change_item(arguments, true);
    if (arguments.size() != 1 || !arguments[0].is_word()) return usage();
    if (in_resource() && zone::find_property(resource().spec(), arguments[0].word) != nullptr) return usage();
    KZ_TRY(const ResourceSpec* spec, type_here(arguments[0].word));
    return begin_resource(*spec);
}

Result<void> Editor::change_item(const Arguments& arguments, bool add) {
    if (!arguments[0].is_word() || arguments[1].is_assignment()) return usage();
    const std::string& property = arguments[0].word;
    const zone::PropertyValue value = arguments[1].as_value();
    zone::ListValue items;
    if (const auto* list = value.list())
        items = *list;
    else if (const auto* complex = value.complex())
        items.emplace_back(*complex);
    else
        items.emplace_back(*value.simple());
    Resource changed = resource();
    for (const zone::ScalarValue& item : items)
        KZ_CHECK(add ? changed.add_item(property, item) : changed.remove_item(property, item));
    frames_.back().resource = std::move(changed);
    return {};
}

Result<std::vector<std::size_t>> Editor::matches(const Arguments& arguments) const {
    if (arguments.empty() || !arguments[0].is_word()) return usage();
    KZ_TRY(const ResourceSpec* spec, type_here(arguments[0].word));
    const auto candidates = zone::resources_of(siblings(), spec->type);
    const Arguments filters(arguments.begin() + 1, arguments.end());
    std::vector<std::size_t> places;
    if (filters.size() == 1 && filters[0].is_word()) {
        const auto place = parse_u64(filters[0].word);
        if (!place) return usage();
        if (*place < candidates.size()) places.push_back(*place);
    } else {
        for (const Argument& filter : filters) {
            if (!filter.is_assignment()) return usage();
            if (zone::find_property(*spec, filter.word) == nullptr)
                return fail(Errc::invalid_argument, "{}: {}", filter.word, zone::kNoSuchPropertyType);
        }
        for (std::size_t i = 0; i < candidates.size(); ++i)
            if (matches_all(*candidates[i], filters, config_.name())) places.push_back(i);
    }
    if (places.empty()) return fail(Errc::not_found, "{}: {}", spec->type, zone::kNoSuchResourceId);
    return places;
}

Result<void> Editor::select(const Arguments& arguments) {
    KZ_TRY(const auto places, matches(arguments));
    const std::string& type = arguments[0].word;
    if (places.size() > 1) return fail(Errc::invalid_argument, "{}: {}", type, zone::kInsufficient);
    frames_.push_back({*zone::resources_of(siblings(), type)[places[0]], places[0]});
    return {};
}

Result<void> Editor::set(const Arguments& arguments) {
    if (arguments.size() != 1 || !arguments[0].is_assignment()) return usage();
    const Argument& argument = arguments[0];
    if (in_resource()) return frames_.back().resource.set(argument.word, *argument.value);
    const std::string* text = argument.value->simple();
    if (text == nullptr && zone::find_global(argument.word) != nullptr)
        return fail(Errc::invalid_argument, "{}: {}", argument.value->source(), zone::kInvalidArgument);
    return config_.set_global(argument.word, text != nullptr ? *text : std::string{});
}

Result<void> Editor::clear(const Arguments& arguments) {
    if (arguments.size() != 1 || !arguments[0].is_word()) return usage();
    const std::string& property = arguments[0].word;
    return in_resource() ? frames_.back().resource.clear(property) : config_.clear_global(property);
}

Result<void> Editor::remove(const Arguments& arguments) {
    if (in_resource() && arguments.size() == 2 && arguments[0].is_word() &&
        zone::find_property(resource().spec(), arguments[0].word) != nullptr)
        return change_item(arguments, false);
    KZ_TRY(const auto places, matches(arguments));
    remove_at(arguments[0].word, places);
    return {};
}

void Editor::remove_at(const std::string& type, const std::vector<std::size_t>& places) {
    // From the last, so that the places before it stay right.
    for (auto place = places.rbegin(); place != places.rend(); ++place) {
        if (in_resource()) {
            auto children = resource().children();
            zone::erase_resource_at(children, type, *place);
            frames_.back().resource.set_children(std::move(children));
            continue;
        }
        const auto id = parse_u64(config_.at(type, *place)->get("id").value_or(""));
        if (id) retired_[type].insert(static_cast<unsigned>(*id));
        config_.remove(type, *place);
    }
}

Result<void> Editor::end() {
    const Frame& frame = frames_.back();
    const std::string& type = frame.resource.type();
    const auto errors = zone::verify_resource(frame.resource);
    if (!errors.empty()) return fail(Errc::invalid_argument, "{}", join(errors, "\n"));
    const bool nested = frames_.size() > 1;
    std::vector<Resource> owner =
        nested ? frames_[frames_.size() - 2].resource.children() : config_.resources();
    auto others = zone::resources_of(owner, type);
    if (frame.place) others.erase(others.begin() + static_cast<std::ptrdiff_t>(*frame.place));
    if (const auto collision = zone::find_collision(frame.resource, others, config_.name()))
        return fail(Errc::already_exists, "{}", *collision);
    if (!nested && frame.place)
        config_.replace(type, *frame.place, frame.resource);
    else if (!nested)
        config_.add(frame.resource);
    else if (frame.place)
        *zone::find_resource_at(owner, type, *frame.place) = frame.resource;
    else
        zone::insert_resource(owner, frame.resource);
    if (nested) frames_[frames_.size() - 2].resource.set_children(std::move(owner));
    frames_.pop_back();
    return {};
}

Result<void> Editor::cancel() {
    frames_.pop_back();
    return {};
}

}  // namespace kz::zonecfg
