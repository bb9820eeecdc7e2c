/* Functions that were a mistake too often. Include last; a use does not compile. */
#pragma once

#pragma GCC poison strcpy strcat sprintf vsprintf strncpy strncat gets strtok atoi atol rand srand gmtime localtime
