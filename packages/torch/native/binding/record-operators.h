// Counts of what the engine is asked to do, for tests of what a step launches and whether it waits.
#pragma once

namespace goshawk {

// Counts `name` as an operator of its own while a recording runs: copies between JavaScript's memory and tensors, which no
// operator makes.
void noteTransfer(const char* name);

}  // namespace goshawk
