// One step of Adam (Kingma and Ba 2015) or AdamW for one parameter in a single pass: as operators the same arithmetic passes
// eight times over memory, and for small networks took a fifth of a training step.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <cmath>

namespace goshawk {
namespace {

constexpr int64_t kGrain = 16384;

struct Step {
  /** Factor of the parameter before the step. */
  float kept;
  /** 1 - beta1, beta2, 1 - beta2. */
  float newest, old_square, newest_square;
  float eps, step_size, correction;
};

/** In the order of the engine's operators, for the same bits. */
[[gnu::optimize("no-math-errno")]] void step_range(
    float* __restrict parameter, const float* __restrict gradient, float* __restrict mean, float* __restrict square,
    int64_t count, const Step& step) {
  const Step s = step;
  for (int64_t i = 0; i < count; ++i) {
    const float g = gradient[i];
    const float m = mean[i] + s.newest * (g - mean[i]);
    const float v = square[i] * s.old_square + s.newest_square * g * g;
    const float root = std::sqrt(v) / s.correction + s.eps;
    parameter[i] = parameter[i] * s.kept - s.step_size * m / root;
    mean[i] = m;
    square[i] = v;
  }
}

bool lie_alike(const at::Tensor& a, const at::Tensor& b) {
  return b.device().is_cpu() && b.scalar_type() == at::kFloat && a.sizes() == b.sizes() && a.strides() == b.strides();
}

/**
 * mean and square move towards the gradient and its square; then the parameter, times `kept`, moves by
 * -step_size * mean / (sqrt(square) / correction + eps).
 */
void adam_step(
    const at::Tensor& parameter, const at::Tensor& gradient, const at::Tensor& mean, const at::Tensor& square,
    double kept, double beta1, double beta2, double eps, double step_size, double correction) {
  const bool one_pass = lie_alike(parameter, parameter) && lie_alike(parameter, gradient) &&
      lie_alike(parameter, mean) && lie_alike(parameter, square) && parameter.is_non_overlapping_and_dense() &&
      beta1 > 0.5;
  if (!one_pass) {
    if (kept != 1) {
      parameter.mul_(kept);
    }
    mean.lerp_(gradient, 1 - beta1);
    square.mul_(beta2).addcmul_(gradient, gradient, 1 - beta2);
    parameter.addcdiv_(mean, square.sqrt().div_(correction).add_(eps), -step_size);
    return;
  }
  const Step step{
      static_cast<float>(kept),          static_cast<float>(1 - beta1), static_cast<float>(beta2),
      static_cast<float>(1 - beta2),     static_cast<float>(eps),       static_cast<float>(step_size),
      static_cast<float>(correction)};
  float* p = parameter.data_ptr<float>();
  const float* g = gradient.data_ptr<float>();
  float* m = mean.data_ptr<float>();
  float* v = square.data_ptr<float>();
  at::parallel_for(0, parameter.numel(), kGrain, [&](int64_t begin, int64_t end) {
    step_range(p + begin, g + begin, m + begin, v + begin, end - begin, step);
  });
  // What is made from a parameter and kept is made anew when its version changes.
  for (const at::Tensor* written : {&parameter, &mean, &square}) {
    written->unsafeGetTensorImpl()->bump_version();
  }
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CPU, m) {
  m.impl("adam_step_", TORCH_FN(goshawk::adam_step));
}

TORCH_LIBRARY_IMPL(goshawk, CUDA, m) {
  m.impl("adam_step_", TORCH_FN(goshawk::adam_step));
}
