def test_open(application):
    w = application.open_module("PGTAnnotate")
    w.enter()
    application.events()
