// The same, in C++.
#include "ask.c"
