#include "device-operators.h"

#include "launch.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <memory>
#include <string>
#include <vector>

namespace goshawk {
namespace {

void implement_all(torch::Library& m) {
  implement_box_overlap(m);
  implement_roi_align(m);
  implement_roi_pool(m);
  implement_scale_shift(m);
}

constexpr const char* kOnCard[] = {
    "box_iou", "roi_align_multilevel", "roi_align_backward", "roi_pool", "roi_pool_backward",
    "scale_shift", "scale_shift_gradient"};

} // namespace

void emulate_card(const char* library) {
  device::use_emulated_card(library);
  static std::vector<std::unique_ptr<torch::Library>> libraries;
  if (!libraries.empty()) {
    return;
  }
  std::unique_ptr<torch::Library> definitions(
      new torch::Library(torch::Library::DEF, "goshawk_emulated", {}, __FILE__, __LINE__));
  for (const char* name : kOnCard) {
    const auto& schema =
        c10::Dispatcher::singleton().findSchemaOrThrow((std::string("goshawk::") + name).c_str(), "").schema();
    definitions->def(schema.cloneWithName(std::string("goshawk_emulated::") + name, ""));
  }
  std::unique_ptr<torch::Library> implementations(
      new torch::Library(torch::Library::IMPL, "goshawk_emulated", c10::DispatchKey::CPU, __FILE__, __LINE__));
  implement_all(*implementations);
  libraries.push_back(std::move(definitions));
  libraries.push_back(std::move(implementations));
}

} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CUDA, m) {
  goshawk::implement_all(m);
}
