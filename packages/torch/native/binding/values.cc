#include "values.h"

#include <torch/version.h>

#include <cmath>
#include <cstring>

#include "distributed/group-error.h"

namespace goshawk {

namespace {

// c10's optional was one of its own before it became the standard's.
#if TORCH_VERSION_MAJOR >= 2
using MaybeTensor = std::optional<at::Tensor>;
using MaybeScalar = std::optional<c10::Scalar>;
#else
using MaybeTensor = c10::optional<at::Tensor>;
using MaybeScalar = c10::optional<c10::Scalar>;
#endif

struct NamedInt {
  const char* name;
  int64_t value;
};

// Enumerations that schemas declare as int: dtypes, memory formats, layouts.
constexpr NamedInt kDtypes[] = {
    {"uint8", static_cast<int64_t>(c10::ScalarType::Byte)},
    {"int8", static_cast<int64_t>(c10::ScalarType::Char)},
    {"int16", static_cast<int64_t>(c10::ScalarType::Short)},
    {"int32", static_cast<int64_t>(c10::ScalarType::Int)},
    {"int64", static_cast<int64_t>(c10::ScalarType::Long)},
    {"float16", static_cast<int64_t>(c10::ScalarType::Half)},
    {"float32", static_cast<int64_t>(c10::ScalarType::Float)},
    {"float64", static_cast<int64_t>(c10::ScalarType::Double)},
    {"bfloat16", static_cast<int64_t>(c10::ScalarType::BFloat16)},
    {"bool", static_cast<int64_t>(c10::ScalarType::Bool)},
    {"complex64", static_cast<int64_t>(c10::ScalarType::ComplexFloat)},
    {"complex128", static_cast<int64_t>(c10::ScalarType::ComplexDouble)},
};
constexpr NamedInt kFormats[] = {
    {"contiguous_format", static_cast<int64_t>(c10::MemoryFormat::Contiguous)},
    {"preserve_format", static_cast<int64_t>(c10::MemoryFormat::Preserve)},
    {"channels_last", static_cast<int64_t>(c10::MemoryFormat::ChannelsLast)},
    {"channels_last_3d", static_cast<int64_t>(c10::MemoryFormat::ChannelsLast3d)},
    {"strided", static_cast<int64_t>(c10::Layout::Strided)},
};

napi_valuetype typeOf(napi_env env, napi_value value) {
  napi_valuetype type;
  check(env, napi_typeof(env, value, &type));
  return type;
}

bool isInteger(double number) { return std::floor(number) == number && std::fabs(number) <= 9007199254740992.0; }

c10::Scalar scalarFromJs(napi_env env, napi_value value) {
  switch (typeOf(env, value)) {
    case napi_boolean:
      return c10::Scalar(boolFromJs(env, value));
    case napi_bigint:
      return c10::Scalar(intFromJs(env, value));
    default: {
      const double number = numberFromJs(env, value);
      // JavaScript has one number type: whole ones act as integers, as the literal 2 does in Python.
      if (isInteger(number) && !(number == 0 && std::signbit(number))) return c10::Scalar(static_cast<int64_t>(number));
      return c10::Scalar(number);
    }
  }
}

ValueKind kindOf(const c10::TypePtr& type, bool result) {
  switch (type->kind()) {
    case c10::TypeKind::TensorType:
      return ValueKind::Tensor;
    case c10::TypeKind::IntType:
    case c10::TypeKind::SymIntType:
      return ValueKind::Int;
    case c10::TypeKind::FloatType:
      return ValueKind::Float;
    case c10::TypeKind::BoolType:
      return ValueKind::Bool;
    case c10::TypeKind::NumberType:
      return ValueKind::Scalar;
    case c10::TypeKind::StringType:
      return ValueKind::String;
    case c10::TypeKind::DeviceObjType:
      return ValueKind::Device;
    case c10::TypeKind::ListType: {
      const auto item = type->castRaw<c10::ListType>()->getElementType();
      if (item->kind() == c10::TypeKind::OptionalType) {
        const bool isScalar = kindOf(item->castRaw<c10::OptionalType>()->getElementType(), result) == ValueKind::Scalar;
        return isScalar ? ValueKind::OptionalScalarList : ValueKind::OptionalTensorList;
      }
      switch (kindOf(item, result)) {
        case ValueKind::Tensor:
          return ValueKind::TensorList;
        case ValueKind::Int:
          return ValueKind::IntList;
        case ValueKind::Float:
          return ValueKind::FloatList;
        case ValueKind::Bool:
          return ValueKind::BoolList;
        case ValueKind::Scalar:
          return ValueKind::ScalarList;
        default:
          return ValueKind::Other;
      }
    }
    default: {
      // ScalarType, MemoryFormat and Layout have kinds of their own in newer engines; all travel as int.
      const std::string name = type->str();
      if (name == "ScalarType" || name == "MemoryFormat" || name == "Layout") return ValueKind::Int;
      return ValueKind::Other;
    }
  }
}

}  // namespace

void check(napi_env env, napi_status status) {
  if (status == napi_ok) return;
  const napi_extended_error_info* info = nullptr;
  napi_get_last_error_info(env, &info);
  throw CallError(info && info->error_message ? info->error_message : "wrong argument");
}

ArgumentPlan planArgument(const c10::Argument& argument) {
  c10::TypePtr type = argument.type();
  const bool optional = type->kind() == c10::TypeKind::OptionalType;
  if (optional) type = type->castRaw<c10::OptionalType>()->getElementType();
  return {kindOf(type, false), optional, argument.N().value_or(0)};
}

ValueKind planResult(const c10::Argument& result) {
  c10::TypePtr type = result.type();
  if (type->kind() == c10::TypeKind::OptionalType) type = type->castRaw<c10::OptionalType>()->getElementType();
  return kindOf(type, true);
}

bool isMissing(napi_env env, napi_value value) {
  const napi_valuetype type = typeOf(env, value);
  return type == napi_undefined || type == napi_null;
}

double numberFromJs(napi_env env, napi_value value) {
  double number = 0;
  if (napi_get_value_double(env, value, &number) != napi_ok) throw CallError("expected a number");
  return number;
}

int64_t intFromJs(napi_env env, napi_value value) {
  switch (typeOf(env, value)) {
    case napi_bigint: {
      int64_t number = 0;
      bool lossless = false;
      check(env, napi_get_value_bigint_int64(env, value, &number, &lossless));
      if (!lossless) throw CallError("the bigint does not fit 64 bits");
      return number;
    }
    case napi_boolean:
      return boolFromJs(env, value) ? 1 : 0;
    case napi_string: {
      const std::string name = stringFromJs(env, value);
      for (const auto& entry : kDtypes)
        if (name == entry.name) return entry.value;
      for (const auto& entry : kFormats)
        if (name == entry.name) return entry.value;
      throw CallError("'" + name + "' names no dtype, memory format or layout");
    }
    default: {
      const double number = numberFromJs(env, value);
      if (!isInteger(number)) throw CallError("expected a whole number, got " + std::to_string(number));
      return static_cast<int64_t>(number);
    }
  }
}

bool boolFromJs(napi_env env, napi_value value) {
  bool flag = false;
  if (napi_get_value_bool(env, value, &flag) != napi_ok) throw CallError("expected true or false");
  return flag;
}

std::string stringFromJs(napi_env env, napi_value value) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) throw CallError("expected a string");
  std::string text(length, '\0');
  check(env, napi_get_value_string_utf8(env, value, text.data(), length + 1, &length));
  return text;
}

std::vector<int64_t> intsFromJs(napi_env env, napi_value value, int64_t fixedLength) {
  const napi_valuetype type = typeOf(env, value);
  if (type == napi_number && fixedLength > 0)
    return std::vector<int64_t>(static_cast<size_t>(fixedLength), intFromJs(env, value));
  const uint32_t length = arrayLength(env, value);
  std::vector<int64_t> ints(length);
  for (uint32_t i = 0; i < length; ++i) ints[i] = intFromJs(env, element(env, value, i));
  return ints;
}

uint32_t arrayLength(napi_env env, napi_value value) {
  bool isArray = false;
  check(env, napi_is_array(env, value, &isArray));
  if (!isArray) throw CallError("expected an array");
  uint32_t length = 0;
  check(env, napi_get_array_length(env, value, &length));
  return length;
}

napi_value element(napi_env env, napi_value array, uint32_t index) {
  napi_value value;
  check(env, napi_get_element(env, array, index, &value));
  return value;
}

napi_value boolToJs(napi_env env, bool flag) {
  napi_value value;
  check(env, napi_get_boolean(env, flag, &value));
  return value;
}

napi_value numberToJs(napi_env env, double number) {
  napi_value value;
  check(env, napi_create_double(env, number, &value));
  return value;
}

napi_value stringToJs(napi_env env, const std::string& text) {
  napi_value value;
  check(env, napi_create_string_utf8(env, text.data(), text.size(), &value));
  return value;
}

napi_value intsToJs(napi_env env, at::IntArrayRef values) {
  napi_value array;
  check(env, napi_create_array_with_length(env, values.size(), &array));
  for (size_t i = 0; i < values.size(); ++i) {
    napi_value item;
    check(env, napi_create_int64(env, values[i], &item));
    check(env, napi_set_element(env, array, static_cast<uint32_t>(i), item));
  }
  return array;
}

c10::ScalarType scalarTypeFromName(const std::string& name) {
  for (const auto& entry : kDtypes)
    if (name == entry.name) return static_cast<c10::ScalarType>(entry.value);
  throw CallError("'" + name + "' names no dtype");
}

const char* scalarTypeName(c10::ScalarType type) {
  for (const auto& entry : kDtypes)
    if (static_cast<int64_t>(type) == entry.value) return entry.name;
  return "unknown";
}

const at::Tensor& tensorFromJs(napi_env env, Environment& environment, napi_value value) {
  double id = 0;
  if (napi_get_value_double(env, value, &id) != napi_ok) throw CallError("expected a Tensor");
  return environment.tensors.get(id);
}

napi_value tensorToJs(napi_env env, Environment& environment, const at::Tensor& tensor) {
  napi_value value;
  if (!tensor.defined()) {
    check(env, napi_get_null(env, &value));
    return value;
  }
  check(env, napi_create_double(env, environment.tensors.add(tensor), &value));
  return value;
}

c10::IValue toIValue(napi_env env, Environment& environment, const ArgumentPlan& plan, const c10::Argument& argument,
                     napi_value value) {
  if (value == nullptr || isMissing(env, value)) {
    if (argument.default_value().has_value()) return *argument.default_value();
    if (plan.optional) return c10::IValue();
    throw CallError("argument '" + argument.name() + "' is missing");
  }
  switch (plan.kind) {
    case ValueKind::Tensor: {
      if (typeOf(env, value) == napi_boolean) return at::scalar_tensor(boolFromJs(env, value), at::kBool);
      return tensorFromJs(env, environment, value);
    }
    case ValueKind::TensorList: {
      const uint32_t length = arrayLength(env, value);
      c10::List<at::Tensor> list;
      list.reserve(length);
      for (uint32_t i = 0; i < length; ++i) list.push_back(tensorFromJs(env, environment, element(env, value, i)));
      return list;
    }
    case ValueKind::OptionalTensorList: {
      const uint32_t length = arrayLength(env, value);
      c10::List<MaybeTensor> list;
      for (uint32_t i = 0; i < length; ++i) {
        napi_value item = element(env, value, i);
        list.push_back(isMissing(env, item) ? MaybeTensor() : MaybeTensor(tensorFromJs(env, environment, item)));
      }
      return list;
    }
    case ValueKind::OptionalScalarList: {
      const uint32_t length = arrayLength(env, value);
      c10::List<MaybeScalar> list;
      for (uint32_t i = 0; i < length; ++i) {
        napi_value item = element(env, value, i);
        list.push_back(isMissing(env, item) ? MaybeScalar() : MaybeScalar(scalarFromJs(env, item)));
      }
      return list;
    }
    case ValueKind::Int:
      return intFromJs(env, value);
    case ValueKind::Float:
      return numberFromJs(env, value);
    case ValueKind::Bool:
      return boolFromJs(env, value);
    case ValueKind::Scalar:
      return scalarFromJs(env, value);
    case ValueKind::String:
      return stringFromJs(env, value);
    case ValueKind::Device:
      return c10::Device(stringFromJs(env, value));
    case ValueKind::IntList:
      return c10::List<int64_t>(at::IntArrayRef(intsFromJs(env, value, plan.fixedLength)));
    case ValueKind::FloatList: {
      const uint32_t length = arrayLength(env, value);
      c10::List<double> list;
      for (uint32_t i = 0; i < length; ++i) list.push_back(numberFromJs(env, element(env, value, i)));
      return list;
    }
    case ValueKind::BoolList: {
      const uint32_t length = arrayLength(env, value);
      c10::List<bool> list;
      for (uint32_t i = 0; i < length; ++i) list.push_back(boolFromJs(env, element(env, value, i)));
      return list;
    }
    case ValueKind::ScalarList: {
      const uint32_t length = arrayLength(env, value);
      c10::List<c10::IValue> list(c10::NumberType::get());
      for (uint32_t i = 0; i < length; ++i) list.push_back(scalarFromJs(env, element(env, value, i)));
      return list;
    }
    case ValueKind::Other:
      break;
  }
  throw CallError("argument '" + argument.name() + "' of type " + argument.type()->str() +
                  " cannot be passed from JavaScript");
}

napi_value fromIValue(napi_env env, Environment& environment, const c10::IValue& value) {
  napi_value result;
  if (value.isTensor()) return tensorToJs(env, environment, value.toTensor());
  if (value.isInt()) {
    check(env, napi_create_int64(env, value.toInt(), &result));
  } else if (value.isDouble()) {
    check(env, napi_create_double(env, value.toDouble(), &result));
  } else if (value.isBool()) {
    check(env, napi_get_boolean(env, value.toBool(), &result));
  } else if (value.isString()) {
    return stringToJs(env, value.toStringRef());
  } else if (value.isNone()) {
    check(env, napi_get_null(env, &result));
  } else if (value.isList()) {
    const auto list = value.toListRef();
    check(env, napi_create_array_with_length(env, list.size(), &result));
    for (size_t i = 0; i < list.size(); ++i)
      check(env, napi_set_element(env, result, static_cast<uint32_t>(i), fromIValue(env, environment, list[i])));
  } else {
    throw CallError("a result of type " + value.tagKind() + " cannot be passed to JavaScript");
  }
  return result;
}

std::string describe(napi_env env, Environment& environment, const napi_value* values, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    if (i) text += ", ";
    bool isArray = false;
    napi_is_array(env, values[i], &isArray);
    if (isArray) {
      uint32_t length = 0;
      napi_get_array_length(env, values[i], &length);
      text += "[";
      for (uint32_t j = 0; j < length && j < 8; ++j) {
        napi_value item;
        napi_get_element(env, values[i], j, &item);
        if (j) text += ", ";
        text += describe(env, environment, &item, 1);
      }
      text += length > 8 ? ", ...]" : "]";
      continue;
    }
    napi_valuetype type = napi_undefined;
    napi_typeof(env, values[i], &type);
    if (type == napi_number) {
      double number = 0;
      napi_get_value_double(env, values[i], &number);
      try {
        const at::Tensor& tensor = environment.tensors.get(number);
        text += "Tensor" + c10::str(tensor.sizes()) + " " + scalarTypeName(tensor.scalar_type());
      } catch (const std::exception&) {
        text += c10::str(number);
      }
    } else if (type == napi_string) {
      text += "'" + stringFromJs(env, values[i]) + "'";
    } else if (type == napi_boolean) {
      text += boolFromJs(env, values[i]) ? "true" : "false";
    } else {
      text += "-";
    }
  }
  return text;
}

// With the ranks as a property; its code tells it from the engine's.
static void throwGroupError(napi_env env, const GroupError& error) {
  napi_value thrown;
  napi_create_error(env, stringToJs(env, "GOSHAWK_GROUP"), stringToJs(env, error.what()), &thrown);
  napi_set_named_property(env, thrown, "ranks", intsToJs(env, error.ranks));
  napi_throw(env, thrown);
}

napi_value throwAsJs(napi_env env, const std::string& where) {
  std::string message;
  try {
    throw;
  } catch (const GroupError& error) {
    throwGroupError(env, error);
    return nullptr;
  } catch (const c10::Error& error) {
    message = error.what_without_backtrace();
  } catch (const std::bad_alloc&) {
    message = "out of memory";
  } catch (const std::exception& error) {
    message = error.what();
  } catch (...) {
    message = "unknown native error";
  }
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (pending) return nullptr;
  // The engine appends where it was thrown; a person needs the first sentence, on one line.
  const size_t trace = message.find("\nException raised from");
  if (trace != std::string::npos) message.resize(trace);
  for (char& c : message)
    if (c == '\n') c = ' ';
  if (message.size() > 800) message = message.substr(0, 800) + "...";
  napi_throw_error(env, "GOSHAWK_ENGINE", (where + ": " + message).c_str());
  return nullptr;
}

}  // namespace goshawk
