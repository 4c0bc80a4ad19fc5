/* The module copal._copal: the functions of copal.i as Python has them, and the
 * simulator. Private: what people use is the package around it
 * (bindings/python/copal). */
%module _copal

%include "copal.i"
