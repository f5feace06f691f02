#include "device-operators.h"

#include "launch.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <memory>
#include <string>
#include <vector>

namespace goshawk {
namespace {

void implement_all(torch::Library& m) {
  implement_batch_norm_halves(m);
  implement_box_overlap(m);
  implement_focal_loss(m);
  implement_masks(m);
  implement_match_anchors(m);
  implement_nms(m);
  implement_roi_align(m);
  implement_roi_pool(m);
  implement_scale_shift(m);
}

constexpr const char* kOnCard[] = {
    "batch_norm_apply",
    "batch_norm_gradient",
    "batch_norm_gradient_sums",
    "batch_norm_statistics",
    "batched_nms",
    "box_iou",
    "crop_mask_targets",
    "masks_to_rle",
    "match_anchors",
    "match_batch",
    "nms",
    "nms_first",
    "roi_align_backward",
    "roi_align_multilevel",
    "roi_pool",
    "roi_pool_backward",
    "scale_shift",
    "scale_shift_gradient",
    "sigmoid_focal_loss_and_gradient",
};

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
    const c10::OperatorHandle handle =
        c10::Dispatcher::singleton().findSchemaOrThrow((std::string("goshawk::") + name).c_str(), "");
    const auto& schema = handle.schema();
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
