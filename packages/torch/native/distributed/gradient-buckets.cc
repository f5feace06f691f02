#include "gradient-buckets.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <map>
#include <utility>

namespace goshawk {

namespace {

using torch::autograd::variable_list;

bool liesDensely(const at::Tensor& tensor) { return tensor.is_non_overlapping_and_dense(); }

}  // namespace

// What the engine calls when a parameter's gradient is complete. It outlives the buckets: the engine keeps it.
struct GradientBuckets::Hooks {
  explicit Hooks(GradientBuckets* of) : buckets(of) {}
  GradientBuckets* buckets;
  // A shared_ptr or, from 2.10 on, an intrusive one.
  std::vector<decltype(torch::autograd::impl::grad_accumulator(at::Tensor()))> accumulators;

  struct Hook : torch::autograd::FunctionPostHook {
    Hook(std::shared_ptr<Hooks> all, size_t which) : hooks(std::move(all)), parameter(which) {}
    variable_list operator()(const variable_list& outputs, const variable_list&) override {
      if (const auto all = hooks.lock(); all && all->buckets != nullptr) all->buckets->arrived(parameter);
      return outputs;
    }
    std::weak_ptr<Hooks> hooks;
    size_t parameter;
  };
};

GradientBuckets::GradientBuckets(
    ProcessGroup& group, std::vector<at::Tensor> parameters, int64_t bytes, const std::string& name)
    : group_(group), parameters_(std::move(parameters)), bucketOf_(parameters_.size()), name_(name) {
  // The open bucket of each kind of tensor.
  std::map<std::pair<c10::ScalarType, std::string>, size_t> open;
  for (size_t reversed = parameters_.size(); reversed-- > 0;) {
    const at::Tensor& parameter = parameters_[reversed];
    const std::pair<c10::ScalarType, std::string> kind{parameter.scalar_type(), parameter.device().str()};
    const auto found = open.find(kind);
    const int64_t size = static_cast<int64_t>(parameter.element_size());
    const bool fits = found != open.end() && (buckets_[found->second].length + parameter.numel()) * size <= bytes;
    if (!fits) {
      open[kind] = buckets_.size();
      buckets_.emplace_back();
    }
    Bucket& bucket = buckets_[open[kind]];
    bucketOf_[reversed] = open[kind];
    bucket.members.push_back(reversed);
    bucket.offsets.push_back(bucket.length);
    bucket.length += parameter.numel();
  }
}

GradientBuckets::~GradientBuckets() {
  if (hooks_) hooks_->buckets = nullptr;
}

void GradientBuckets::begin() {
  if (!hooks_) {
    hooks_ = std::make_shared<Hooks>(this);
    for (size_t i = 0; i < parameters_.size(); ++i) {
      auto accumulator = torch::autograd::impl::grad_accumulator(parameters_[i]);
      accumulator->add_post_hook(std::make_unique<Hooks::Hook>(hooks_, i));
      hooks_->accumulators.push_back(std::move(accumulator));
    }
  }
  for (Bucket& bucket : buckets_) {
    bucket.missing = bucket.members.size();
    bucket.flat = at::Tensor();
    bucket.work = nullptr;
  }
  next_ = 0;
  armed_ = true;
}

void GradientBuckets::arrived(size_t parameter) {
  if (!armed_) return;
  --buckets_[bucketOf_[parameter]].missing;
  while (next_ < buckets_.size() && buckets_[next_].missing == 0) send(buckets_[next_++]);
}

at::Tensor GradientBuckets::placeOf(const Bucket& bucket, size_t member) const {
  const at::Tensor& parameter = parameters_[bucket.members[member]];
  const at::Tensor part = bucket.flat.narrow(0, bucket.offsets[member], parameter.numel());
  // As the parameter lies, so that gradients, which mostly lie so too, are copied straight on.
  return liesDensely(parameter) ? part.as_strided(parameter.sizes(), parameter.strides(), part.storage_offset())
                                : part.view(parameter.sizes());
}

void GradientBuckets::send(Bucket& bucket) {
  const at::NoGradGuard noGrad;
  bucket.flat = at::empty({bucket.length}, parameters_[bucket.members[0]].options().requires_grad(false));
  for (size_t i = 0; i < bucket.members.size(); ++i) {
    const at::Tensor& gradient = parameters_[bucket.members[i]].grad();
    at::Tensor place = placeOf(bucket, i);
    if (gradient.defined()) {
      place.copy_(gradient);
    } else {
      place.zero_();
    }
  }
  bucket.work = group_.allReduce(bucket.flat, Reduction::Sum, name_);
}

std::vector<int64_t> GradientBuckets::finish(double factor) {
  const at::NoGradGuard noGrad;
  if (!armed_) begin();
  armed_ = false;
  while (next_ < buckets_.size()) send(buckets_[next_++]);
  const auto count = static_cast<int64_t>(parameters_.size());
  const at::Tensor anywhere = at::zeros({count}, at::kByte);
  uint8_t* flags = anywhere.data_ptr<uint8_t>();
  for (int64_t i = 0; i < count; ++i) flags[i] = parameters_[static_cast<size_t>(i)].grad().defined();
  const std::vector<uint8_t> here(flags, flags + count);
  group_.allReduce(anywhere, Reduction::Largest, "which gradients there are")->wait();
  for (Bucket& bucket : buckets_) {
    bucket.work->wait();
    if (factor != 1) bucket.flat.mul_(factor);
    for (size_t i = 0; i < bucket.members.size(); ++i)
      if (flags[bucket.members[i]] != 0) parameters_[bucket.members[i]].mutable_grad() = placeOf(bucket, i);
    bucket.work = nullptr;
    bucket.flat = at::Tensor();
  }
  std::vector<int64_t> without;
  for (int64_t i = 0; i < count; ++i)
    if (here[static_cast<size_t>(i)] == 0) without.push_back(flags[i] != 0 ? i : -1 - i);
  return without;
}

}  // namespace goshawk
