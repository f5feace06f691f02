// State of one JavaScript environment (the main thread or a worker): its tensors, its operators.
#pragma once
#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <node_api.h>

#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace goshawk {

// How JavaScript writes an argument, or reads a result, of an operator.
enum class ValueKind {
  Tensor,
  TensorList,
  OptionalTensorList,
  Int,
  Float,
  Bool,
  Scalar,
  String,
  Device,
  IntList,
  FloatList,
  BoolList,
  ScalarList,
  OptionalScalarList,
  Other
};

struct ArgumentPlan {
  ValueKind kind;
  bool optional;
  int64_t fixedLength;  // n of int[n]: a single number stands for n equal ones; 0 when free
};

struct OperatorPlan {
  c10::OperatorHandle handle;
  std::string name;
  std::vector<ArgumentPlan> arguments;
  std::vector<ValueKind> results;
};

// A tensor's number in JavaScript is slot + generation * 2^24: exact in a double, and a stale one is noticed.
class TensorTable {
 public:
  double add(at::Tensor tensor);
  const at::Tensor& get(double id) const;  // throws on a freed or foreign number
  bool release(double id);
  // From now on the collector's business is to free this tensor: its bytes are told to V8. Of those that scopes free V8 need
  // not know; told of them, it collected the whole heap twenty times a training step.
  void leaveToCollector(double id);
  // Between the two, what was added since can be taken back: a list of results that does not arrive whole leaves
  // nothing.
  void beginBatch() {
    batch_.clear();
    batching_ = true;
  }
  void endBatch(bool arrived);
  size_t live() const { return live_; }
  int64_t takeMemoryChange() {
    const int64_t change = memoryChange_;
    memoryChange_ = 0;
    return change;
  }
  int64_t memoryChange() const { return memoryChange_; }

 private:
  struct Slot {
    at::Tensor tensor;
    uint32_t generation = 1;
    int64_t bytes = 0;
    bool ofCollector = false;
  };
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  std::vector<double> batch_;
  bool batching_ = false;
  size_t live_ = 0;
  int64_t memoryChange_ = 0;
};

// References to JavaScript buffers that tensors borrow; a tensor may die on any thread, the reference only on its own.
class BorrowedBuffers {
 public:
  void retire(napi_ref ref);
  void drain(napi_env env);

 private:
  std::mutex mutex_;
  std::vector<napi_ref> retired_;
};

struct Environment {
  TensorTable tensors;
  std::vector<OperatorPlan> operators;
  std::unordered_map<std::string, size_t> operatorByName;
  std::shared_ptr<BorrowedBuffers> borrowed = std::make_shared<BorrowedBuffers>();
};

Environment& environmentOf(napi_env env);

// Tells V8 how much native memory hangs from its objects; called where tensors come and go.
void reportMemory(napi_env env, Environment& environment);

}  // namespace goshawk
