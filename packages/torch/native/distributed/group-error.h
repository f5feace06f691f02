// What goes wrong between processes.
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace goshawk {

// The ranks are those where the failure lies, as far as this process can tell.
struct GroupError : std::runtime_error {
  GroupError(const std::string& what, std::vector<int64_t> whose) : std::runtime_error(what), ranks(std::move(whose)) {}
  std::vector<int64_t> ranks;
};

// "rank 1", "ranks 1, 2"
inline std::string rankNames(const std::vector<int64_t>& ranks) {
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  for (size_t i = 0; i < ranks.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(ranks[i]);
  return text;
}

}  // namespace goshawk
