# Joins objects to one, optimized as one (link-time optimization of gcc's), in
# which only what is visible outside keeps its name, and what is declared
# externally_visible. What comes out is plain machine code.

# Without the linker's plugin gcc does not ask the linker, to whom every symbol
# of a relocatable object is of use; as for a shared library it then lets hidden
# symbols go.
set(join_compile_options -flto -ffat-lto-objects)
set(join_options -flto=auto -fno-use-linker-plugin -flinker-output=dyn
    -r -nostdlib)

# Who links the objects themselves takes the machine code in them.
set(join_plain_options -fno-lto)

# The flags that everything is compiled with.
function(join_flags out)
    string(TOUPPER "${CMAKE_BUILD_TYPE}" kind)
    separate_arguments(flags UNIX_COMMAND
        "${CMAKE_C_FLAGS} ${CMAKE_C_FLAGS_${kind}} -fPIC")
    set(${out} ${flags} PARENT_SCOPE)
endfunction()

# Sets out to ON where it works: tries it with two files.
function(check_join out)
    set(${out} OFF PARENT_SCOPE)
    if(CMAKE_CONFIGURATION_TYPES OR NOT CMAKE_C_COMPILER_ID STREQUAL "GNU" OR
            CMAKE_C_COMPILER_VERSION VERSION_LESS 10)
        return()
    endif()
    set(dir ${CMAKE_BINARY_DIR}/CMakeFiles/join)
    file(WRITE ${dir}/one.c "int two(void); __attribute__((visibility(\"default\"))) int one(void); int one(void) { return two(); }")
    file(WRITE ${dir}/two.c "int two(void); int two(void) { return 2; }")
    file(WRITE ${dir}/main.c "int one(void); int main(void) { return one() - 2; }")
    join_flags(flags)
    set(cc ${CMAKE_C_COMPILER} ${flags} -fvisibility=hidden)
    execute_process(COMMAND ${cc} ${join_compile_options} -c one.c two.c
        WORKING_DIRECTORY ${dir} RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
    if(NOT failed)
        execute_process(COMMAND ${cc} ${join_options} -o joined.o one.o two.o
            WORKING_DIRECTORY ${dir} RESULT_VARIABLE failed
            OUTPUT_QUIET ERROR_QUIET)
    endif()
    # The linker's word that nothing but machine code is left.
    if(NOT failed)
        execute_process(COMMAND ${cc} ${join_plain_options} -o joined main.c joined.o
            WORKING_DIRECTORY ${dir} RESULT_VARIABLE failed
            OUTPUT_QUIET ERROR_QUIET)
    endif()
    if(NOT failed)
        set(${out} ON PARENT_SCOPE)
    endif()
endfunction()

# join_objects(TARGET OBJECTS OUT): TARGET makes one object of those of the object
# library OBJECTS; OUT is set to its path. Who uses it depends on TARGET.
function(join_objects target objects out)
    set(joined ${CMAKE_CURRENT_BINARY_DIR}/${target}.o)
    join_flags(flags)
    add_custom_command(OUTPUT ${joined}
        COMMAND ${CMAKE_C_COMPILER} ${flags} ${join_options} -o ${joined}
                $<TARGET_OBJECTS:${objects}>
        DEPENDS ${objects} $<TARGET_OBJECTS:${objects}>
        COMMENT "Optimizing ${objects} as one"
        COMMAND_EXPAND_LISTS VERBATIM)
    add_custom_target(${target} DEPENDS ${joined})
    set_source_files_properties(${joined} PROPERTIES
        EXTERNAL_OBJECT ON GENERATED ON)
    set(${out} ${joined} PARENT_SCOPE)
endfunction()
