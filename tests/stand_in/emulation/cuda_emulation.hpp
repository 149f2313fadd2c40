// Included before the first line of a kernel text (g++ -include): with it, the text is C++ for the CPU.
#pragma once
#include "intrinsics.hpp"
