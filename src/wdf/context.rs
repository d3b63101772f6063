//! Typed contexts of framework objects.
//!
//! The framework gives every object of a kind its context zeroed, in nonpaged memory, and frees it
//! with the object. All contexts here are atomics for which zero is a value, so that they need
//! neither a constructor nor a destructor and can be read through a shared reference at any time.

use core::ffi::c_char;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize};

use wdk_sys::{
    _WDF_EXECUTION_LEVEL::{WdfExecutionLevelInheritFromParent, WdfExecutionLevelPassive},
    _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeInheritFromParent,
    WDF_OBJECT_ATTRIBUTES, WDF_OBJECT_CONTEXT_TYPE_INFO, WDFOBJECT,
    call_unsafe_wdf_function_binding,
};

use super::size;

/// A context type and its registration with the framework.
///
/// # Safety
/// All-zero bytes are a valid value, the type is `Sync`, and `INFO` describes this very type.
pub(crate) unsafe trait Context: Sync + Sized + 'static {
    /// What the framework knows of the type. Its address is the type's identity.
    const INFO: &'static TypeInfo;
}

/// A type's description, at a fixed address.
pub(crate) struct TypeInfo(WDF_OBJECT_CONTEXT_TYPE_INFO);

// SAFETY: the description is constant; its pointers are to constants.
unsafe impl Sync for TypeInfo {}

const fn describe<T>(name: &'static core::ffi::CStr) -> TypeInfo {
    TypeInfo(WDF_OBJECT_CONTEXT_TYPE_INFO {
        Size: size::<WDF_OBJECT_CONTEXT_TYPE_INFO>(),
        ContextName: name.as_ptr().cast::<c_char>().cast_mut(),
        ContextSize: size_of::<T>(),
        UniqueType: core::ptr::null(),
        EvtDriverGetUniqueContextType: None,
    })
}

/// Of the device: the driver's state, set when the device is added.
pub(crate) struct DeviceContext {
    /// The state, owned by the context; taken back when the device is cleaned up.
    pub(crate) device: AtomicPtr<core::ffi::c_void>,
}

/// Of an open handle.
pub(crate) struct FileContext {
    /// Id of the process that opened it.
    pub(crate) opener: AtomicUsize,
    /// The session that it is joined to, or 0.
    pub(crate) session: AtomicU32,
}

/// Of a request.
pub(crate) struct RequestContext {
    /// The run's control, owned by the context while the request is cancelable.
    pub(crate) control: AtomicPtr<core::ffi::c_void>,
}

static DEVICE_INFO: TypeInfo = describe::<DeviceContext>(c"DeviceContext");
static FILE_INFO: TypeInfo = describe::<FileContext>(c"FileContext");
static REQUEST_INFO: TypeInfo = describe::<RequestContext>(c"RequestContext");

// SAFETY: a null atomic pointer; described by the static of its name.
unsafe impl Context for DeviceContext {
    const INFO: &'static TypeInfo = &DEVICE_INFO;
}
// SAFETY: atomics that are zero; described by the static of its name.
unsafe impl Context for FileContext {
    const INFO: &'static TypeInfo = &FILE_INFO;
}
// SAFETY: a null atomic pointer; described by the static of its name.
unsafe impl Context for RequestContext {
    const INFO: &'static TypeInfo = &REQUEST_INFO;
}

/// Attributes of an object with a context of type `C`.
pub(crate) fn attributes<C: Context>() -> WDF_OBJECT_ATTRIBUTES {
    WDF_OBJECT_ATTRIBUTES {
        ContextTypeInfo: &raw const C::INFO.0,
        ..plain_attributes()
    }
}

/// Attributes of an object without a context.
pub(crate) fn plain_attributes() -> WDF_OBJECT_ATTRIBUTES {
    WDF_OBJECT_ATTRIBUTES {
        Size: size::<WDF_OBJECT_ATTRIBUTES>(),
        ExecutionLevel: WdfExecutionLevelInheritFromParent,
        SynchronizationScope: WdfSynchronizationScopeInheritFromParent,
        ..WDF_OBJECT_ATTRIBUTES::default()
    }
}

/// Makes the framework call the object's callbacks at PASSIVE_LEVEL.
pub(crate) fn at_passive_level(attributes: &mut WDF_OBJECT_ATTRIBUTES) {
    attributes.ExecutionLevel = WdfExecutionLevelPassive;
}

/// The context of an object.
///
/// # Safety
/// `object` is a live framework object whose attributes had a context of type `C`, and it outlives
/// `'a`.
pub(crate) unsafe fn of<'a, C: Context>(object: WDFOBJECT) -> Option<&'a C> {
    // SAFETY: the object is live; the description is the one that it was created with.
    let context = unsafe {
        call_unsafe_wdf_function_binding!(
            WdfObjectGetTypedContextWorker,
            object,
            &raw const C::INFO.0
        )
    };
    // SAFETY: the framework gives null or a zeroed context of this type that lives with its object;
    // the type allows shared references from any thread.
    unsafe { context.cast::<C>().as_ref() }
}
