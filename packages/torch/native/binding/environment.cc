#include "environment.h"

#include <cmath>
#include <stdexcept>

namespace goshawk {

namespace {
constexpr double kGenerationUnit = 16777216.0;        // 2^24 slots
constexpr uint32_t kLastGeneration = (1u << 29) - 1;  // 24 + 29 bits fit a double's 53
constexpr int64_t kReportBytes = 4 << 20;             // telling V8 costs more than a small tensor
}  // namespace

double TensorTable::add(at::Tensor tensor) {
  uint32_t index;
  if (free_.empty()) {
    index = static_cast<uint32_t>(slots_.size());
    if (index >= static_cast<uint32_t>(kGenerationUnit))
      throw std::runtime_error("more than 16 million live tensors: use scope()");
    slots_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Slot& slot = slots_[index];
  // Only the first handle of a storage carries its bytes, so that views are not counted again; a tensor of the meta device
  // has none, whatever its shape.
  const bool carries = !tensor.is_meta() && tensor.has_storage() && tensor.storage().use_count() <= 1;
  slot.bytes = carries ? static_cast<int64_t>(tensor.storage().nbytes()) : 0;
  slot.tensor = std::move(tensor);
  ++live_;
  const double id = index + slot.generation * kGenerationUnit;
  if (batching_) batch_.push_back(id);
  return id;
}

void TensorTable::endBatch(bool arrived) {
  batching_ = false;
  if (!arrived)
    for (const double id : batch_) release(id);
  batch_.clear();
}

const at::Tensor& TensorTable::get(double id) const {
  const double generation = std::floor(id / kGenerationUnit);
  const double index = id - generation * kGenerationUnit;
  if (!(id >= kGenerationUnit) || !(index < static_cast<double>(slots_.size())))
    throw std::invalid_argument("not a tensor of this thread");
  const Slot& slot = slots_[static_cast<size_t>(index)];
  if (slot.generation != generation || !slot.tensor.defined())
    throw std::invalid_argument(
        "this tensor was freed (its scope ended, or dispose() was called): return it from the scope or keep() it");
  return slot.tensor;
}

bool TensorTable::release(double id) {
  const double generation = std::floor(id / kGenerationUnit);
  const double index = id - generation * kGenerationUnit;
  if (!(id >= kGenerationUnit) || !(index < static_cast<double>(slots_.size()))) return false;
  Slot& slot = slots_[static_cast<size_t>(index)];
  if (slot.generation != generation || !slot.tensor.defined()) return false;
  slot.tensor = at::Tensor();
  if (slot.ofCollector) memoryChange_ -= slot.bytes;
  slot.bytes = 0;
  slot.ofCollector = false;
  --live_;
  if (++slot.generation <= kLastGeneration) free_.push_back(static_cast<uint32_t>(index));
  return true;
}

void TensorTable::leaveToCollector(double id) {
  const double generation = std::floor(id / kGenerationUnit);
  Slot& slot = slots_.at(static_cast<size_t>(id - generation * kGenerationUnit));
  if (slot.generation != generation) return;  // freed before
  if (!slot.ofCollector) memoryChange_ += slot.bytes;
  slot.ofCollector = true;
}

void BorrowedBuffers::retire(napi_ref ref) {
  const std::lock_guard<std::mutex> lock(mutex_);
  retired_.push_back(ref);
}

void BorrowedBuffers::drain(napi_env env) {
  std::vector<napi_ref> retired;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    retired.swap(retired_);
  }
  for (napi_ref ref : retired) napi_delete_reference(env, ref);
}

Environment& environmentOf(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  return *static_cast<Environment*>(data);
}

void reportMemory(napi_env env, Environment& environment) {
  const int64_t change = environment.tensors.memoryChange();
  if (change < kReportBytes && change > -kReportBytes) return;
  int64_t total = 0;
  napi_adjust_external_memory(env, environment.tensors.takeMemoryChange(), &total);
}

}  // namespace goshawk
