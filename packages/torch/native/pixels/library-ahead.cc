#include "library-ahead.h"

#include <dlfcn.h>

#include <mutex>
#include <string>
#include <thread>

namespace goshawk::pixels {

namespace {

std::mutex mutex;
// Never destroyed: a process that ends without waiting does not wait here either.
std::thread* loading = nullptr;

}  // namespace

void openLibrary(const char* path) {
  const std::lock_guard<std::mutex> lock(mutex);
  if (loading != nullptr) return;
  // As Node opens addons, which finds the library open then.
  loading = new std::thread([own = std::string(path)] { dlopen(own.c_str(), RTLD_LAZY); });
}

void awaitLibrary() {
  const std::lock_guard<std::mutex> lock(mutex);
  if (loading != nullptr && loading->joinable()) loading->join();
}

}  // namespace goshawk::pixels
