#include "device-code.h"

#include "driver.h"

#include <c10/util/Exception.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <mutex>
#include <stdexcept>
#include <utility>
#include <vector>

namespace goshawk {
namespace {

std::mutex settings_mutex;
DeviceCodeSettings settings;

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return file ? std::string(std::istreambuf_iterator<char>(file), {}) : std::string();
}

/** Follows the quoted includes of a source, so that a change to any of them is a change to it. */
std::string with_includes(const std::string& folder, const std::string& path, std::vector<std::string>& seen) {
  const std::string text = read_file(folder + "/" + path);
  if (text.empty()) {
    throw std::runtime_error("device code: cannot read " + folder + "/" + path);
  }
  std::string all = text;
  const std::string include = "#include \"";
  for (size_t at = text.find(include); at != std::string::npos; at = text.find(include, at + 1)) {
    const size_t from = at + include.size();
    const std::string name = text.substr(from, text.find('"', from) - from);
    bool known = false;
    for (const std::string& other : seen) {
      known = known || other == name;
    }
    if (!known) {
      seen.push_back(name);
      all += with_includes(folder, name, seen);
    }
  }
  return all;
}

[[noreturn]] void fail(const CudaCompiler& compiler, CudaCompiler::Program program, const std::string& name, int error) {
  size_t bytes = 0;
  std::string log;
  if (program != nullptr && compiler.log_size(program, &bytes) == 0) {
    log.resize(bytes);
    compiler.log(program, &log[0]);
  }
  throw std::runtime_error("NVRTC failed on " + name + ".cu (error " + std::to_string(error) + "): " + log.c_str());
}

/** The newest architecture that this NVRTC knows and the card can run. */
int newest_supported(const CudaCompiler& compiler, int architecture) {
  int count = 0;
  compiler.supported_count(&count);
  std::vector<int> known(static_cast<size_t>(count));
  compiler.supported(known.data());
  int best = 0;
  for (const int each : known) {
    best = each <= architecture && each > best ? each : best;
  }
  if (best == 0) {
    throw std::runtime_error(
        "NVRTC knows no architecture up to that of the card (" + std::to_string(architecture / 10) + "." +
        std::to_string(architecture % 10) + ")");
  }
  return best;
}

std::string compile(
    const CudaCompiler& compiler, const std::string& name, const std::string& text,
    const std::vector<std::string>& options, bool is_native) {
  CudaCompiler::Program program = nullptr;
  int error = compiler.create(&program, text.c_str(), (name + ".cu").c_str(), 0, nullptr, nullptr);
  if (error != 0) {
    fail(compiler, nullptr, name, error);
  }
  std::vector<const char*> values;
  for (const std::string& option : options) {
    values.push_back(option.c_str());
  }
  error = compiler.compile(program, static_cast<int>(values.size()), values.data());
  std::string image;
  try {
    if (error != 0) {
      fail(compiler, program, name, error);
    }
    size_t bytes = 0;
    error = is_native ? compiler.cubin_size(program, &bytes) : compiler.ptx_size(program, &bytes);
    image.resize(bytes);
    if (error == 0) {
      error = is_native ? compiler.cubin(program, &image[0]) : compiler.ptx(program, &image[0]);
    }
    if (error != 0) {
      fail(compiler, program, name, error);
    }
  } catch (...) {
    compiler.destroy(&program);
    throw;
  }
  compiler.destroy(&program);
  return image;
}

uint64_t digest(const std::string& text) {
  uint64_t hash = 14695981039346656037u;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  }
  return hash;
}

bool make_folder(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    mkdir(path.substr(0, slash).c_str(), 0777);
  }
  return mkdir(path.c_str(), 0777) == 0 || errno == EEXIST;
}

/** A kept file is its key, then the code: a digest that two keys share cannot bring the wrong code. */
std::string read_kept(const std::string& path, const std::string& key) {
  const std::string kept = read_file(path);
  return kept.size() > key.size() && kept.compare(0, key.size(), key) == 0 ? kept.substr(key.size()) : std::string();
}

/** Written beside and renamed. A folder that cannot be written only costs the time of compiling again. */
void keep(const std::string& folder, const std::string& path, const std::string& key, const std::string& image) {
  if (!make_folder(folder)) {
    return;
  }
  const std::string partial = path + "." + std::to_string(getpid());
  {
    std::ofstream file(partial, std::ios::binary);
    file << key << image;
    if (!file.flush()) {
      std::remove(partial.c_str());
      return;
    }
  }
  if (std::rename(partial.c_str(), path.c_str()) != 0) {
    std::remove(partial.c_str());
  }
}

} // namespace

void set_device_code_settings(DeviceCodeSettings given) {
  const std::lock_guard<std::mutex> lock(settings_mutex);
  settings = std::move(given);
}

int device_scalar(c10::ScalarType type) {
  switch (type) {
    case c10::ScalarType::Float:
      return 0;
    case c10::ScalarType::Double:
      return 1;
    case c10::ScalarType::Half:
      return 2;
    case c10::ScalarType::BFloat16:
      return 3;
    default:
      TORCH_CHECK(false, "device code is for floating point, got ", type);
  }
}

std::string compile_device_code(const std::string& name, c10::ScalarType type, int architecture) {
  const std::lock_guard<std::mutex> lock(settings_mutex);
  if (settings.compiler.empty()) {
    throw std::runtime_error("own kernels on the card need NVRTC (libnvrtc.so), which was not found beside libtorch");
  }
  const CudaCompiler& compiler = cuda_compiler(settings.compiler);
  const int target = newest_supported(compiler, architecture);
  // Code of an older architecture than the card's own is made as PTX, which the driver finishes.
  const bool is_native = target == architecture;
  std::vector<std::string> options = {
      std::string("--gpu-architecture=") + (is_native ? "sm_" : "compute_") + std::to_string(target),
      "--std=c++17",
      // The arithmetic is that of the definitions, as on the CPU.
      "--fmad=false",
      "--define-macro=GOSHAWK_SCALAR=" + std::to_string(device_scalar(type)),
  };
  std::vector<std::string> seen;
  const std::string file = "device/code/" + name + ".cu";
  const std::string sources = with_includes(settings.sources, file, seen);
  int major = 0;
  int minor = 0;
  compiler.version(&major, &minor);
  std::string key = "NVRTC " + std::to_string(major) + "." + std::to_string(minor) + "\n";
  for (const std::string& option : options) {
    key += option + "\n";
  }
  key += sources + '\0';
  char number[17];
  std::snprintf(number, sizeof number, "%016llx", static_cast<unsigned long long>(digest(key)));
  const std::string path = settings.cache + "/" + name + "-" + number;
  if (!settings.cache.empty()) {
    const std::string kept = read_kept(path, key);
    if (!kept.empty()) {
      return kept;
    }
  }
  options.push_back("--include-path=" + settings.sources);
  const std::string image = compile(compiler, name, read_file(settings.sources + "/" + file), options, is_native);
  if (!settings.cache.empty()) {
    keep(settings.cache, path, key, image);
  }
  return image;
}

} // namespace goshawk
