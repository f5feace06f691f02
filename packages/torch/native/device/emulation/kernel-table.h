// Kernels compiled for the emulated card, by file, name and scalar type.
#pragma once

#include <cstddef>
#include <tuple>
#include <utility>

namespace goshawk {
namespace emulated {

struct Entry {
  void (*function)();
  void (*invoke)(void (*function)(), void** arguments);

  void call(void** arguments) const {
    invoke(function, arguments);
  }
};

template <typename... Arguments, size_t... Index>
void invoke_with(void (*function)(), void** arguments, std::index_sequence<Index...>) {
  reinterpret_cast<void (*)(Arguments...)>(function)(*static_cast<Arguments*>(arguments[Index])...);
}

template <typename... Arguments>
Entry entry_of(void (*kernel)(Arguments...)) {
  return {reinterpret_cast<void (*)()>(kernel), [](void (*function)(), void** arguments) {
            invoke_with<Arguments...>(function, arguments, std::index_sequence_for<Arguments...>());
          }};
}

struct Registration {
  Registration(const char* file, const char* name, int scalar, Entry entry);
};

} // namespace emulated
} // namespace goshawk
