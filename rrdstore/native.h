/* What the C that mypyc makes of this package is compiled with (setup.py), before all else of it.

Objects of an acyclic class (native.py) have no collector's header, in which CPython's trashcan chains what it frees
later; mypyc 2.4 hands them to it all the same, and whatever lies before them is overwritten. They can do without: from
one node to the next the way leads through a dict or a list, and those are enough to bound how deep freeing goes. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#undef Py_TRASHCAN_BEGIN
#undef Py_TRASHCAN_END
#define Py_TRASHCAN_BEGIN(object, dealloc) {
#define Py_TRASHCAN_END }
