# What Slicer and the Extensions Index need to know of an extension.
foreach(name HOMEPAGE CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS)
  if("${EXTENSION_${name}}" STREQUAL "")
    message(FATAL_ERROR "EXTENSION_${name} is not set")
  endif()
endforeach()

# Every folder with a module in it takes part.
get_property(configured GLOBAL PROPERTY stub_folders)
file(GLOB lists "${CMAKE_CURRENT_SOURCE_DIR}/*/CMakeLists.txt")
foreach(list ${lists})
  get_filename_component(folder "${list}" DIRECTORY)
  file(READ "${list}" text)
  list(FIND configured "${folder}" place)
  if(text MATCHES "slicerMacroBuildScriptedModule" AND place EQUAL -1)
    message(FATAL_ERROR "The module in '${folder}' is not added")
  endif()
endforeach()
