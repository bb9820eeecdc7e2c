/* Functions that were a mistake too often. Include last; a use does not compile. */
#pragma once

/* With _FORTIFY_SOURCE some of them are macros of the C library. */
#undef strcpy
#undef strcat
#undef sprintf
#undef vsprintf
#undef strncpy
#undef strncat

#pragma GCC poison strcpy strcat sprintf vsprintf strncpy strncat gets strtok atoi atol rand srand gmtime localtime
