//! What every handler is given.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::feed::Writer;
use crate::hub::Hub;
use crate::pictures::Pictures;
use crate::services::Services;
use crate::settings::Settings;
use crate::stop::Stop;

/// Windows that are open at once.
pub(crate) const WINDOWS: u32 = 10_000;

/// Pictures that are received at once: each is held in memory until it is whole.
const UPLOADS: usize = 8;

#[derive(Debug)]
pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) hub: Arc<Hub>,
    pub(crate) writer: Writer,
    pub(crate) pictures: Pictures,
    pub(crate) services: Arc<Services>,
    pub(crate) windows: Arc<Semaphore>,
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
            windows: Arc::new(Semaphore::new(WINDOWS as usize)),
            uploads: Semaphore::new(UPLOADS),
            stop,
        })
    }
}
