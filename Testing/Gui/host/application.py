"""The application around the engine: scene, windows, module classes, translation and packages."""

from __future__ import annotations

import contextlib
import importlib
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import slicer
from __feature__ import true_property  # noqa: F401 - switches this module
from PySide6 import QtGui, QtWidgets

from host import qt_binding

PANEL_WIDTH = 440
PIXEL_RATIO = 2


@dataclass
class Application:
    """What a test can look at and turn on the host."""

    qt_application: QtWidgets.QApplication
    main_window: QtWidgets.QMainWindow
    asked_to_install: list[list[str]] = field(default_factory=list)
    consent: bool = True
    logics: list[slicer.vtkMRMLAbstractLogic] = field(default_factory=list)

    def events(self) -> None:
        """Let Qt do what is due."""
        for _ in range(5):
            self.qt_application.processEvents()

    def photograph(self, file: Path) -> None:
        """Save a picture of the module panel, at the width of Slicer's module panel."""
        panel = self.main_window.centralWidget()
        self.main_window.show()
        self.main_window.resize(PANEL_WIDTH, panel.sizeHint.height())
        self.events()
        # Text that wraps needs more height than the hint says, which knows no width.
        needed = max(panel.sizeHint.height(), panel.layout().totalHeightForWidth(PANEL_WIDTH))
        self.main_window.resize(PANEL_WIDTH, needed + self.main_window.statusBar().height)
        self.events()
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = QtGui.QPixmap(panel.size * PIXEL_RATIO)
        pixels.setDevicePixelRatio(PIXEL_RATIO)
        panel.render(pixels)
        pixels.save(str(file))

    def open_module(self, name: str) -> Any:
        """Load a module file as Slicer does and return its widget, set up but not entered."""
        module_file = sys.modules.get(name) or importlib.import_module(name)
        description = SimpleNamespace(path=module_file.__file__, title="", categories=[])
        getattr(module_file, name)(description)
        setattr(slicer.modules, name.lower(), SimpleNamespace(path=module_file.__file__))
        from host.mrml_widgets import qMRMLWidget

        parent = qMRMLWidget()
        parent.isEntered = True
        QtWidgets.QVBoxLayout(parent)
        self.main_window.setCentralWidget(parent)
        widget = getattr(module_file, name + "Widget")(parent)
        widget.setup()
        return widget


def install(modules: Path) -> Application:
    """Put the host in place; called once in a process.

    Args:
        modules: the folder of the modules under test.
    """
    qt_binding.keep_none_alive()
    qt_application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["host"])
    qt_application.organizationName = "PGTToolkitTests"
    qt_application.setStyle("Fusion")
    qt_application.setPalette(_light_palette())
    main_window = QtWidgets.QMainWindow()
    main_window.objectName = "qSlicerMainWindow"
    application = Application(qt_application, main_window)
    _complete_slicer(application)
    from host import ctk_widgets, hierarchy_widgets, mrml_widgets

    widgets = [
        mrml_widgets.qMRMLWidget,
        mrml_widgets.qMRMLNodeComboBox,
        hierarchy_widgets.qMRMLSubjectHierarchyTreeView,
        ctk_widgets.ctkCollapsibleButton,
    ]
    qt_binding.put_in_place(qt_binding.make_qt(widgets))
    ctk = ModuleType("ctk")
    ctk.ctkCollapsibleButton = ctk_widgets.ctkCollapsibleButton
    qt_binding.put_in_place(ctk)
    for name in ("qMRMLWidget", "qMRMLNodeComboBox", "qMRMLSegmentEditorWidget"):
        setattr(slicer, name, getattr(mrml_widgets, name))
    qt_binding.use_properties_below(modules)
    sys.path.insert(0, str(modules))
    return application


def _complete_slicer(application: Application) -> None:
    slicer.mrmlScene = slicer.vtkMRMLScene()
    application.logics = [
        slicer.vtkMRMLColorLogic(),
        slicer.vtkSlicerSubjectHierarchyModuleLogic(),
        slicer.vtkSlicerSegmentationsModuleLogic(),
    ]
    for logic in application.logics:
        logic.SetMRMLScene(slicer.mrmlScene)
    cache = slicer.vtkCacheManager()
    cache.SetRemoteCacheDirectory(tempfile.mkdtemp(prefix="pgt-host-cache-"))
    data = slicer.vtkDataIOManager()
    data.SetCacheManager(cache)
    slicer.mrmlScene.SetCacheManager(cache)
    slicer.mrmlScene.SetDataIOManager(data)
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(slicer.mrmlScene)
    for name, orientation in (("Red", "Axial"), ("Green", "Coronal"), ("Yellow", "Sagittal")):
        _add_slice_view(name, orientation)
    from host.plot_widgets import LayoutManager

    layout_manager = LayoutManager(slicer.mrmlScene)
    slicer.app = SimpleNamespace(
        layoutManager=lambda: layout_manager,
        connect=lambda signal, receiver: None,
        testingEnabled=lambda: False,
        moduleManager=lambda: SimpleNamespace(connect=lambda *_: None, disconnect=lambda *_: None),
    )
    slicer.modules = SimpleNamespace()
    slicer.util.mainWindow = lambda: application.main_window
    slicer.util.childWidgetVariables = _child_widget_variables
    _add_module("slicer.i18n", tr=lambda text, *_: text, translate=lambda context, text: text)
    from host import parameter_nodes

    _add_module(
        "slicer.parameterNodeWrapper",
        parameterNodeWrapper=parameter_nodes.parameterNodeWrapper,
        WithinRange=parameter_nodes.WithinRange,
    )
    _add_module("slicer.packaging", pip_ensure=_pip_ensure(application))
    sys.modules["SampleData"] = SimpleNamespace(SampleDataLogic=SampleDataLogic)
    _add_module(
        "slicer.ScriptedLoadableModule",
        ScriptedLoadableModule=ScriptedLoadableModule,
        ScriptedLoadableModuleWidget=ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic=ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest=ScriptedLoadableModuleTest,
    )


def _add_slice_view(name: str, orientation: str) -> None:
    """A slice view as the layout manager makes it, and turns it back when the scene was cleared."""
    view = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSliceNode")
    view.SetSingletonTag(name)
    view.SetName(name)
    view.SetLayoutName(name)
    view = slicer.mrmlScene.AddNode(view)
    view.SetOrientation(orientation)
    scene = slicer.mrmlScene
    scene.AddObserver(scene.EndCloseEvent, lambda *_arguments: view.SetOrientation(orientation))
    layers = slicer.vtkMRMLSliceCompositeNode()
    layers.SetSingletonTag(name)
    layers.SetLayoutName(name)
    slicer.mrmlScene.AddNode(layers)


def _add_module(name: str, **content: Any) -> None:
    module = ModuleType(name)
    vars(module).update(content)
    sys.modules[name] = module
    setattr(slicer, name.rpartition(".")[2], module)


def _child_widget_variables(widget: QtWidgets.QWidget) -> SimpleNamespace:
    children = widget.findChildren(QtWidgets.QWidget)
    return SimpleNamespace(**{child.objectName: child for child in children if child.objectName})


def _pip_ensure(application: Application) -> Callable[..., None]:
    def pip_ensure(requirements: list[str], **_options: object) -> None:
        application.asked_to_install.append(list(requirements))
        if not application.consent:
            raise RuntimeError("User declined package installation")

    return pip_ensure


def _light_palette() -> QtGui.QPalette:
    palette = QtGui.QPalette()
    for role, color in {
        QtGui.QPalette.ColorRole.Window: "#f4f5f7",
        QtGui.QPalette.ColorRole.Base: "#ffffff",
        QtGui.QPalette.ColorRole.Button: "#eceff2",
        QtGui.QPalette.ColorRole.Text: "#1f2933",
        QtGui.QPalette.ColorRole.WindowText: "#1f2933",
        QtGui.QPalette.ColorRole.ButtonText: "#1f2933",
        QtGui.QPalette.ColorRole.Highlight: "#cfe3f7",
        QtGui.QPalette.ColorRole.HighlightedText: "#1f2933",
        QtGui.QPalette.ColorRole.PlaceholderText: "#8a949e",
    }.items():
        palette.setColor(role, QtGui.QColor(color))
    disabled = QtGui.QColor("#9aa5b1")
    for role in (QtGui.QPalette.ColorRole.ButtonText, QtGui.QPalette.ColorRole.Text):
        palette.setColor(QtGui.QPalette.ColorGroup.Disabled, role, disabled)
    return palette


class SampleDataLogic:
    """Keeps what modules register."""

    sources: ClassVar[list[dict[str, Any]]] = []

    @staticmethod
    def registerCustomSampleDataCategory(name: str, title: str) -> None:
        """A heading for the sources of one extension."""

    @classmethod
    def registerCustomSampleDataSource(cls, **source: Any) -> None:
        """One data set."""
        cls.sources.append(source)


class ScriptedLoadableModule:
    """Describes a module to Slicer."""

    def __init__(self, parent: Any) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__


class ScriptedLoadableModuleWidget:
    """The panel of a module."""

    def __init__(self, parent: QtWidgets.QWidget) -> None:
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.parent = parent
        self.layout = parent.layout()

    def resourcePath(self, name: str) -> str:
        """A file in the module's Resources folder."""
        module_path = getattr(slicer.modules, self.moduleName.lower()).path
        return str(Path(module_path).parent / "Resources" / name)

    def setup(self) -> None:
        """Nothing but what the module adds."""


class ScriptedLoadableModuleLogic:
    """Finds or makes the module's parameter node."""

    def __init__(self) -> None:
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self) -> slicer.vtkMRMLScriptedModuleNode:
        """The singleton of this module in the scene."""
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.vtkMRMLScriptedModuleNode()
            node.SetSingletonTag(self.moduleName)
            node = slicer.mrmlScene.AddNode(node)
        node.SetModuleName(self.moduleName)
        return node


class ScriptedLoadableModuleTest:
    """A module's own test, run in Slicer's Python console."""

    def delayDisplay(self, message: str) -> None:
        """Show what is being tested."""
        with contextlib.suppress(BrokenPipeError):
            print(message)
