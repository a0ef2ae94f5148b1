//! The state that the handlers share.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::feed::Writer;
use crate::hub::Hub;
use crate::limits;
use crate::pictures::Pictures;
use crate::services::Services;
use crate::settings::Settings;
use crate::stop::Stop;

#[derive(Debug)]
pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) hub: Arc<Hub>,
    pub(crate) writer: Writer,
    pub(crate) pictures: Pictures,
    pub(crate) services: Arc<Services>,
    /// One permit per open window.
    pub(crate) windows: Arc<Semaphore>,
    /// One permit per running upload.
    pub(crate) uploads: Semaphore,
    pub(crate) stop: Stop,
}

impl App {
    pub(crate) fn new(
        settings: Settings,
        hub: Arc<Hub>,
        writer: Writer,
        pictures: Pictures,
        services: Arc<Services>,
        stop: Stop,
    ) -> Arc<Self> {
        Arc::new(Self {
            settings,
            hub,
            writer,
            pictures,
            services,
            windows: Arc::new(Semaphore::new(limits::WINDOWS as usize)),
            uploads: Semaphore::new(limits::UPLOADS),
            stop,
        })
    }
}
