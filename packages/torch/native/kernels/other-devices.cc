// CUDA tensors: each operator moves its arguments to the CPU, runs there, and moves the result back. Correct, and slow:
// a kernel of a device's own replaces the line here.
#include <ATen/native/CPUFallback.h>
#include <torch/library.h>

namespace goshawk {
namespace {

void on_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  at::native::cpu_fallback(op, stack);
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CUDA, m) {
  for (const char* name :
       {"nms", "batched_nms", "nms_first", "match_anchors", "match_batch", "masks_to_rle", "crop_mask_targets",
        "batch_norm_statistics", "batch_norm_apply",
        "batch_norm_gradient_sums", "batch_norm_gradient"}) {
    m.impl(name, torch::CppFunction::makeFromBoxedFunction<&goshawk::on_cpu>());
  }
}
