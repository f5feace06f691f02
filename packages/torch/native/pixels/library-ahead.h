// A library that is loaded by a thread of its own, before anybody asks for it: the engine's, while JavaScript reads modules. It is here
// because this addon is loaded without the engine.
#pragma once

namespace goshawk::pixels {

// Begins; a second call does nothing. What fails is left to the one who loads the library and is told why.
void openLibrary(const char* path);

// Returns when the library is loaded or cannot be.
void awaitLibrary();

}  // namespace goshawk::pixels
