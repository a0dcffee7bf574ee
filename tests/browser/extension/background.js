// A manager of user scripts fetches in its background what a script asks for (GM_xmlhttpRequest); the test does it here, too.
