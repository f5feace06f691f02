// In place of Gloo's header of this name: see ../README.md.
#pragma once
