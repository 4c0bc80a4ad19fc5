# Writes OUT, a C file with each of SCRIPTS (paths relative to DIR) as bytes,
# in the table that embedded.h declares.
cmake_minimum_required(VERSION 3.20)
set(arrays "")
set(rows "")
set(i 0)
foreach(script IN LISTS SCRIPTS)
    string(REGEX REPLACE "(/init)?\\.lua$" "" module "${script}")
    string(REPLACE "/" "." module "${module}")
    file(SIZE ${DIR}/${script} size)
    file(READ ${DIR}/${script} hex HEX)
    string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
    # The closing zero is not counted; C has no empty array.
    string(APPEND arrays
        "static const unsigned char script_${i}[] = {\n${hex}0};\n\n")
    string(APPEND rows
        "    {\"${module}\", \"@${script}\", script_${i}, ${size}},\n")
    math(EXPR i "${i} + 1")
endforeach()
file(WRITE ${OUT} "/* Made by embed.cmake. */\n#include \"embedded.h\"\n\n"
    "${arrays}const struct embedded embedded_scripts[] = {\n"
    "${rows}    {0, 0, 0, 0},\n};\n")
