// ConnectionContext: what handlers tie to the life of a client's connection. For handlers in and above
// src/rad.
//
// A migration's source keeps its connection open; when it ends, for whatever reason, the objects attached
// here are destroyed, and their destructors clean up what was begun for that source.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace kz::rad {

// Base of what may be attached. The destructor runs on the connection's thread after its last handler.
struct Attachment {
    Attachment() = default;
    Attachment(const Attachment&) = delete;
    Attachment& operator=(const Attachment&) = delete;
    virtual ~Attachment() = default;
    // Whether the connection may be silent for as long as it likes while this is attached: a client that is
    // gone is found out by TCP's keepalive.
    virtual bool holds_connection() const { return false; }
};

// Used by one thread: that of its connection.
class ConnectionContext {
  public:
    // Takes the place of an object of the same name, which is destroyed first.
    void attach(std::string name, std::unique_ptr<Attachment> object) {
        objects_.erase(name);
        objects_.emplace(std::move(name), std::move(object));
    }
    // Null when there is none of that name and type.
    template <typename T>
    T* find(std::string_view name) const {
        const auto found = objects_.find(name);
        return found == objects_.end() ? nullptr : dynamic_cast<T*>(found->second.get());
    }
    // Whether anything attached holds the connection.
    bool held() const {
        return std::ranges::any_of(objects_,
                                   [](const auto& each) { return each.second->holds_connection(); });
    }
    // Gives it back without destroying it; null when there is none.
    std::unique_ptr<Attachment> detach(std::string_view name) {
        const auto found = objects_.find(name);
        if (found == objects_.end()) return nullptr;
        std::unique_ptr<Attachment> object = std::move(found->second);
        objects_.erase(found);
        return object;
    }

  private:
    std::map<std::string, std::unique_ptr<Attachment>, std::less<>> objects_;
};

}  // namespace kz::rad
