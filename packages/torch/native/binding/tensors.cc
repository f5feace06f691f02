// Tensors made from JavaScript memory, read back into it, described and freed.
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "module.h"
#include "record-operators.h"
#include "values.h"

namespace goshawk {

namespace {

struct Bytes {
  void* data;
  size_t length;
};

Bytes bytesOf(napi_env env, napi_value value) {
  bool isTyped = false;
  check(env, napi_is_typedarray(env, value, &isTyped));
  if (!isTyped) throw CallError("expected a typed array");
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  napi_value buffer;
  size_t offset = 0;
  check(env, napi_get_typedarray_info(env, value, &type, &length, &data, &buffer, &offset));
  size_t item = 1;
  switch (type) {
    case napi_int16_array:
    case napi_uint16_array:
      item = 2;
      break;
    case napi_int32_array:
    case napi_uint32_array:
    case napi_float32_array:
      item = 4;
      break;
    case napi_float64_array:
    case napi_bigint64_array:
    case napi_biguint64_array:
      item = 8;
      break;
    default:
      break;
  }
  return {data, length * item};
}

// Far above any memory, far below where 64 bits overflow.
constexpr size_t kMostBytes = size_t{1} << 50;

size_t bytesNeeded(at::IntArrayRef shape, c10::ScalarType type) {
  size_t bytes = c10::elementSize(type);
  for (const int64_t side : shape) {
    if (side < 0) throw CallError("a side of the shape is negative");
    if (side != 0 && bytes > kMostBytes / static_cast<size_t>(side)) throw CallError("the shape is too large");
    bytes *= static_cast<size_t>(side);
  }
  return bytes;
}

// fromBytes(typedArray, shape, dtype): a copy
napi_value fromBytes(Call& call) {
  noteTransfer("goshawk::from_host");
  const Bytes bytes = bytesOf(call.env, call[0]);
  const auto shape = intsFromJs(call.env, call[1], 0);
  const auto type = scalarTypeFromName(stringFromJs(call.env, call[2]));
  if (bytes.length != bytesNeeded(shape, type))
    throw CallError("the shape " + c10::str(at::IntArrayRef(shape)) + " of " + scalarTypeName(type) + " needs " +
                    std::to_string(bytesNeeded(shape, type)) + " bytes, got " + std::to_string(bytes.length));
  at::Tensor tensor = at::empty(shape, at::TensorOptions().dtype(type));
  if (bytes.length) std::memcpy(tensor.data_ptr(), bytes.data, bytes.length);
  napi_value result = tensorToJs(call.env, call.environment, tensor);
  reportMemory(call.env, call.environment);
  return result;
}

// borrowBytes(typedArray, shape, strides | undefined, dtype): shares the memory, which lives as long as the tensor
napi_value borrowBytes(Call& call) {
  noteTransfer("goshawk::from_host");
  call.environment.borrowed->drain(call.env);
  const Bytes bytes = bytesOf(call.env, call[0]);
  const auto shape = intsFromJs(call.env, call[1], 0);
  const auto type = scalarTypeFromName(stringFromJs(call.env, call[3]));
  std::vector<int64_t> strides(shape.size());
  if (isMissing(call.env, call[2])) {
    int64_t stride = 1;
    for (size_t i = shape.size(); i-- > 0;) {
      strides[i] = stride;
      stride *= shape[i];
    }
  } else {
    strides = intsFromJs(call.env, call[2], 0);
    if (strides.size() != shape.size()) throw CallError("strides and shape differ in length");
  }
  size_t needed = bytesNeeded(shape, type) == 0 ? 0 : c10::elementSize(type);
  for (size_t i = 0; i < shape.size(); ++i) {
    if (strides[i] < 0) throw CallError("a stride is negative");
    if (needed == 0) continue;
    const size_t stride = static_cast<size_t>(strides[i]) * c10::elementSize(type);
    const size_t steps = static_cast<size_t>(shape[i] - 1);
    if (steps && stride > kMostBytes / steps) throw CallError("the shape is too large");
    needed += stride * steps;
  }
  if (needed > bytes.length)
    throw CallError("the shape needs " + std::to_string(needed) + " bytes, the array has " +
                    std::to_string(bytes.length));
  napi_ref ref;
  check(call.env, napi_create_reference(call.env, call[0], 1, &ref));
  auto borrowed = call.environment.borrowed;
  at::Tensor tensor = at::from_blob(
      bytes.data, shape, strides, [borrowed, ref](void*) { borrowed->retire(ref); }, at::TensorOptions().dtype(type));
  return tensorToJs(call.env, call.environment, tensor);
}

// mapFile(descriptor, offset, shape, dtype): over the file's pages, which lie in memory once they are read. What is written stays in
// this process.
napi_value mapFile(Call& call) {
  const int file = static_cast<int>(intFromJs(call.env, call[0]));
  const int64_t offset = intFromJs(call.env, call[1]);
  const auto shape = intsFromJs(call.env, call[2], 0);
  const auto type = scalarTypeFromName(stringFromJs(call.env, call[3]));
  const size_t needed = bytesNeeded(shape, type);
  struct stat facts {};
  // Pages behind the end of a file end the process that looks at them.
  if (offset < 0 || needed == 0 || fstat(file, &facts) != 0 || facts.st_size < offset ||
      static_cast<size_t>(facts.st_size - offset) < needed)
    throw CallError("the file ends before the tensor");
  const int64_t before = offset % sysconf(_SC_PAGESIZE);
  const size_t length = needed + static_cast<size_t>(before);
  void* const pages = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, offset - before);
  if (pages == MAP_FAILED) throw CallError("the file cannot be mapped");
  at::Tensor tensor = at::from_blob(
      static_cast<char*>(pages) + before, shape, [pages, length](void*) { munmap(pages, length); },
      at::TensorOptions().dtype(type));
  return tensorToJs(call.env, call.environment, tensor);
}

// readBytes(tensor, typedArray): copies the elements in C order
napi_value readBytes(Call& call) {
  noteTransfer("goshawk::to_host");
  const at::Tensor source = tensorFromJs(call.env, call.environment, call[0]).detach().to(at::kCPU).contiguous();
  const Bytes bytes = bytesOf(call.env, call[1]);
  const size_t length = static_cast<size_t>(source.numel()) * source.element_size();
  if (bytes.length != length)
    throw CallError("the array has " + std::to_string(bytes.length) + " bytes, the tensor " + std::to_string(length));
  if (length) std::memcpy(bytes.data, source.data_ptr(), length);
  return nullptr;
}

napi_value item(Call& call) {
  const at::Tensor& tensor = tensorFromJs(call.env, call.environment, call[0]);
  return numberToJs(call.env, tensor.item().toDouble());
}

napi_value shape(Call& call) { return intsToJs(call.env, tensorFromJs(call.env, call.environment, call[0]).sizes()); }

napi_value strides(Call& call) {
  return intsToJs(call.env, tensorFromJs(call.env, call.environment, call[0]).strides());
}

napi_value dtype(Call& call) {
  return stringToJs(call.env, scalarTypeName(tensorFromJs(call.env, call.environment, call[0]).scalar_type()));
}

napi_value device(Call& call) {
  return stringToJs(call.env, tensorFromJs(call.env, call.environment, call[0]).device().str());
}

// sameTensor(a, b): whether both numbers stand for one tensor (in-place operators return their argument)
napi_value sameTensor(Call& call) {
  const bool same =
      tensorFromJs(call.env, call.environment, call[0]).is_same(tensorFromJs(call.env, call.environment, call[1]));
  return boolToJs(call.env, same);
}

napi_value isContiguous(Call& call) {
  const auto format = isMissing(call.env, call[1]) ? c10::MemoryFormat::Contiguous
                                                   : static_cast<c10::MemoryFormat>(intFromJs(call.env, call[1]));
  return boolToJs(call.env, tensorFromJs(call.env, call.environment, call[0]).is_contiguous(format));
}

// leaveToCollector(number): no scope will free it
napi_value leaveToCollector(Call& call) {
  call.environment.tensors.leaveToCollector(numberFromJs(call.env, call[0]));
  reportMemory(call.env, call.environment);
  return nullptr;
}

// release(numbers): frees many at once; freed ones are passed over
napi_value release(Call& call) {
  uint32_t length = 0;
  check(call.env, napi_get_array_length(call.env, call[0], &length));
  for (uint32_t i = 0; i < length; ++i) {
    napi_value id;
    check(call.env, napi_get_element(call.env, call[0], i, &id));
    call.environment.tensors.release(numberFromJs(call.env, id));
  }
  call.environment.borrowed->drain(call.env);
  reportMemory(call.env, call.environment);
  return nullptr;
}

napi_value liveTensors(Call& call) {
  return numberToJs(call.env, static_cast<double>(call.environment.tensors.live()));
}

constexpr Export kTensorExports[] = {
    {"fromBytes", fromBytes, "tensor"},
    {"borrowBytes", borrowBytes, "tensorOver"},
    {"mapFile", mapFile},
    {"readBytes", readBytes},
    {"item", item},
    {"shape", shape},
    {"strides", strides},
    {"dtype", dtype},
    {"device", device},
    {"sameTensor", sameTensor},
    {"isContiguous", isContiguous},
    {"leaveToCollector", leaveToCollector},
    {"release", release},
    {"liveTensors", liveTensors},
};

}  // namespace

void registerTensors(napi_env env, napi_value exports) { exportAll(env, exports, kTensorExports); }

}  // namespace goshawk
