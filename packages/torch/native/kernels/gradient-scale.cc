// Undoing the scale of a loss on its gradients, and choosing the next (Micikevicius et al. 2018): the engine's operators of
// torch.amp.GradScaler, which it has for CUDA in all versions and for the CPU in newer ones only. The same definition here.
#include "optimizer-steps.h"

#include <torch/library.h>

#include <atomic>
#include <limits>

namespace goshawk {
namespace {

/** Multiplies in place; whether a value was infinite or not a number before. */
bool unscale_range(float* __restrict values, int64_t count, float factor) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  int32_t strange = 0;
  for (int64_t i = 0; i < count; ++i) {
    strange |= !(std::fabs(values[i]) <= kLargest);
    values[i] *= factor;
  }
  return strange != 0;
}

void unscale(at::TensorList gradients, const at::Tensor& found_inf, const at::Tensor& inverse_scale) {
  const float factor = inverse_scale.item<float>();
  std::vector<float*> places;
  std::vector<int64_t> ends;
  int64_t total = 0;
  std::atomic<bool> found{false};
  for (const at::Tensor& gradient : gradients) {
    if (!is_plain_float(gradient)) {
      if (!at::isfinite(gradient).all().item<bool>()) found = true;
      gradient.mul_(inverse_scale);
      continue;
    }
    total += gradient.numel();
    ends.push_back(total);
    places.push_back(gradient.data_ptr<float>());
    mark_changed(gradient);
  }
  for_all_elements(ends, [&](size_t index, int64_t first, int64_t count) {
    if (unscale_range(places[index] + first, count, factor)) found = true;
  });
  if (found) found_inf.fill_(1);
}

void unscale_by_engine(at::TensorList gradients, const at::Tensor& found_inf, const at::Tensor& inverse_scale) {
  at::Tensor found = found_inf;
  at::_amp_foreach_non_finite_check_and_unscale_(gradients, found, inverse_scale);
}

void update_scale(
    const at::Tensor& scale, const at::Tensor& growth_tracker, const at::Tensor& found_inf, double growth_factor,
    double backoff_factor, int64_t growth_interval) {
  const float before = scale.item<float>();
  const int64_t good = growth_tracker.item<int>() + 1;
  if (found_inf.item<float>() != 0) {
    scale.fill_(static_cast<float>(before * backoff_factor));
    growth_tracker.fill_(0);
  } else if (good >= growth_interval) {
    // Where growing would leave float32 the scale stays (aten/native/cuda/AmpKernels.cu).
    const auto grown = static_cast<float>(before * growth_factor);
    if (std::isfinite(grown)) scale.fill_(grown);
    growth_tracker.fill_(0);
  } else {
    growth_tracker.fill_(good);
  }
}

void update_scale_by_engine(
    const at::Tensor& scale, const at::Tensor& growth_tracker, const at::Tensor& found_inf, double growth_factor,
    double backoff_factor, int64_t growth_interval) {
  at::Tensor updated = scale;
  at::Tensor tracker = growth_tracker;
  at::_amp_update_scale_(updated, tracker, found_inf, growth_factor, backoff_factor, growth_interval);
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CPU, m) {
  m.impl("unscale_", TORCH_FN(goshawk::unscale));
  m.impl("update_scale_", TORCH_FN(goshawk::update_scale));
}

TORCH_LIBRARY_IMPL(goshawk, CUDA, m) {
  m.impl("unscale_", TORCH_FN(goshawk::unscale_by_engine));
  m.impl("update_scale_", TORCH_FN(goshawk::update_scale_by_engine));
}
